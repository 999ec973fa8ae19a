"""A training that is killed and goes on gives bit for bit what the same training gives undisturbed."""

from __future__ import annotations

import asyncio
import random
import shutil
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.keras_worker.errors import ChildDied
from core.keras_worker.kill_points import STEPS
from core.keras_worker.pool import ChildPool
from tests.unit.keras_worker.trainings import SAMPLES, Job

pytestmark = pytest.mark.asyncio(loop_scope="session")

COMMANDS = ("prepare", "train", "finish")
# All named steps, in an order in which one run can be killed at each of them: going on from a checkpoint comes after
# the first one is written, and the ends of the training come last.
KILLS = [
    *(step for step in STEPS if step.startswith("prepare")),
    *(step for step in STEPS if not step.startswith(("prepare", "finish", "state", "training", "slice"))),
    *("state-restored", "training-finalised", "slice-ended"),
    *(step for step in STEPS if step.startswith("finish")),
]


class Undisturbed:
    """Trainings that nobody disturbs, each done once."""

    def __init__(self, pool: ChildPool, folder: Path) -> None:
        self._pool, self._folder = pool, folder
        self._made: dict[str, tuple[str, dict[str, Any]]] = {}

    async def result(self, name: str) -> tuple[str, dict[str, Any]]:
        """SHA-256 of all variables at the end, and what `finish` returned."""
        if name not in self._made:
            job = Job(SAMPLES[name](), self._folder / name)
            async with self._pool.child("tensorflow") as child:
                finished = await job.run(child)
            self._made[name] = job.hash_of_state(), finished
        return self._made[name]

    async def prepared(self, name: str, work: Path) -> Job:
        """A job of this kind that has come through `prepare`."""
        await self.result(name)
        shutil.copytree(self._folder / name / "data", work / "data")
        return Job(SAMPLES[name](), work)


@pytest.fixture(scope="module")
def undisturbed(pool: ChildPool, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return Undisturbed(pool, tmp_path_factory.mktemp("undisturbed"))


async def run_with_kills(pool: ChildPool, job: Job, kills: list[dict[str, Any]]) -> tuple[dict[str, Any], int]:
    """Runs the job as its owner would: after each death from the start of the same command, in a new child. Each death
    takes the next of `kills`. Returns the result and the number of deaths."""
    waiting, deaths = list(kills), 0
    result: dict[str, Any] = {}
    for command in COMMANDS:
        while True:
            armed = {"kill_at": waiting[0]} if waiting else {}
            try:
                async with pool.child("tensorflow") as child:
                    result = await getattr(job, command)(child, **armed)
                break
            except ChildDied:
                deaths += 1
                waiting.pop(0)
    return result, deaths


async def test_the_kills_are_all_the_named_steps() -> None:
    assert sorted(KILLS) == sorted(STEPS)


@pytest.mark.parametrize("name", SAMPLES)
async def test_killed_at_every_step_of_the_engine_it_ends_as_if_undisturbed(
    name: str, pool: ChildPool, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    job = Job(SAMPLES[name](), tmp_path)
    result, deaths = await run_with_kills(pool, job, [{"step": step} for step in KILLS])
    assert deaths == len(KILLS)
    assert (job.hash_of_state(), result) == await undisturbed.result(name)


@pytest.mark.parametrize("step", ["chunk-trained", "chunk-validated", "callbacks-called"])
async def test_killed_in_the_middle_of_the_training_it_ends_as_if_undisturbed(
    step: str, pool: ChildPool, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    job = await undisturbed.prepared("mlp", tmp_path)
    result, deaths = await run_with_kills(pool, job, [{"step": step, "nth": 4}, {"step": step, "nth": 2}])
    assert deaths == 2
    assert (job.hash_of_state(), result) == await undisturbed.result("mlp")


@pytest.mark.parametrize("name", SAMPLES)
async def test_cut_into_slices_in_the_middle_of_epochs_it_ends_as_if_uncut(
    name: str, pool: ChildPool, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    job = await undisturbed.prepared(name, tmp_path)
    for _ in range(3):
        # No time at all is one chunk of batches, which leaves a checkpoint in the middle of the epoch.
        async with pool.child("tensorflow") as child:
            assert (await job.train(child, seconds=0))["outcome"] == "continue"
    async with pool.child("tensorflow") as child:
        for _ in range(5):
            await job.train(child, seconds=0)
        await job.train(child)
        result = await job.finish(child)
    assert (job.hash_of_state(), result) == await undisturbed.result(name)


async def test_a_flipped_bit_in_the_newest_checkpoint_is_noticed_and_the_one_before_used(
    pool: ChildPool, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    job = await undisturbed.prepared("mlp", tmp_path)
    with pytest.raises(ChildDied):
        async with pool.child("tensorflow") as child:
            await job.train(child, kill_at={"step": "checkpoint-older-removed", "nth": 3})
    damaged = max((tmp_path / "checkpoints").iterdir()) / "state.bin"
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    result, _ = await run_with_kills(pool, job, [])
    assert (job.hash_of_state(), result) == await undisturbed.result("mlp")


@pytest.mark.parametrize("file", ["manifest.json", "state.bin"])
async def test_a_torn_checkpoint_is_passed_over(
    file: str, pool: ChildPool, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    job = await undisturbed.prepared("mlp", tmp_path)
    with pytest.raises(ChildDied):
        async with pool.child("tensorflow") as child:
            await job.train(child, kill_at={"step": "checkpoint-older-removed", "nth": 2})
    for checkpoint in (tmp_path / "checkpoints").iterdir():
        (checkpoint / file).write_bytes((checkpoint / file).read_bytes()[:-20])
    result, _ = await run_with_kills(pool, job, [])
    assert (job.hash_of_state(), result) == await undisturbed.result("mlp")


async def test_another_instance_goes_on_from_the_checkpoint_and_the_csv_alone(
    pool: ChildPool, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    here, there = await undisturbed.prepared("mlp", tmp_path / "here"), Job(SAMPLES["mlp"](), tmp_path / "there")
    with pytest.raises(ChildDied):
        async with pool.child("tensorflow") as child:
            await here.train(child, kill_at={"step": "checkpoint-renamed", "nth": 2})
    shutil.copytree(here.work / "checkpoints", there.work / "checkpoints")
    result, _ = await run_with_kills(pool, there, [])
    assert (there.hash_of_state(), result) == await undisturbed.result("mlp")


async def test_a_run_keeps_its_thread_count_wherever_it_goes_on(
    pool: ChildPool, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    job = await undisturbed.prepared("cnn", tmp_path)
    with pytest.raises(ChildDied):
        async with pool.child("tensorflow") as child:
            await job.train(child, kill_at={"step": "checkpoint-renamed"})
    async with pool.child("tensorflow") as child:
        await job.train(child, threads=1)
        result = await job.finish(child)
    assert (job.hash_of_state(), result) == await undisturbed.result("cnn")


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_two_hundred_kills_at_random_moments_change_nothing(
    pool: ChildPool, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    chance, deaths, runs = random.Random(1), 0, 0
    while deaths < 200:
        name = chance.choice(list(SAMPLES))
        job = Job(SAMPLES[name](), tmp_path / str(runs))
        result: dict[str, Any] = {}
        for command in COMMANDS:
            while not result or result.get("command") != command:
                async with pool.child("tensorflow") as child:
                    killer = asyncio.ensure_future(kill_after(chance.uniform(0.05, 3.0), child.pid))
                    try:
                        result = await getattr(job, command)(child) | {"command": command}
                    except ChildDied:
                        deaths += 1
                    killer.cancel()
        del result["command"]
        assert (job.hash_of_state(), result) == await undisturbed.result(name)
        runs += 1


async def kill_after(seconds: float, pid: int) -> None:
    process = psutil.Process(pid)
    await asyncio.sleep(seconds)
    process.kill()
