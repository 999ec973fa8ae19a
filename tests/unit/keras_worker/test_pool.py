"""The pool of child processes: what is kept, what is limited, and that nothing is ever left behind."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

from core.keras_worker.environment import APP_ROOT, child_environment
from core.keras_worker.errors import ChildDied, ChildOutOfMemory, ChildTimedOut, Refused
from core.keras_worker.pool import ChildPool, PoolOptions, Start
from tests.unit.keras_worker.trainings import Job, long_sample

pytestmark = pytest.mark.asyncio(loop_scope="session")

STARTS: list[Start] = ["fork", "spawn"] if hasattr(os, "fork") else ["spawn"]


async def gone(pids: list[int], seconds: float = 10) -> bool:
    """Whether these processes end within some time."""
    deadline = time.monotonic() + seconds
    while any(_alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Started(asyncio.Event):
    """Set by the first event of a call."""

    async def __call__(self, event: dict[str, Any]) -> None:
        self.set()


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=STARTS)
async def light(request: pytest.FixtureRequest) -> AsyncIterator[ChildPool]:
    """A pool for children that are quick to start, in both ways of starting them."""
    made = ChildPool(PoolOptions(start=request.param, keep=2))
    yield made
    await made.close()


async def test_a_child_is_kept_for_its_key_and_given_to_no_other(light: ChildPool) -> None:
    async with light.child("numpy", key="a") as first:
        pass
    async with light.child("numpy", key="b") as other:
        assert other.pid != first.pid
    async with light.child("numpy", key="a") as again:
        assert again.pid == first.pid
    await light.release("a")
    await light.release("b")
    assert await gone([first.pid, other.pid])


async def test_a_child_without_a_key_ends_with_its_use(light: ChildPool) -> None:
    async with light.child("numpy") as child:
        pass
    assert await gone([child.pid])


async def test_no_more_idle_children_are_kept_than_allowed(light: ChildPool) -> None:
    pids: list[int] = []
    for key in ("a", "b", "c"):
        async with light.child("numpy", key=key) as child:
            pids.append(child.pid)
    assert await gone(pids[:1])
    assert [kept["pid"] for kept in light.state()["idle"]] == pids[1:]
    await light.release("b")
    await light.release("c")


async def test_a_refused_call_leaves_the_child_usable(light: ChildPool) -> None:
    async with light.child("numpy", key="refused") as child:
        for _ in range(2):
            with pytest.raises(Refused, match="no command 'sing'"):
                await child.call("sing", {})
    await light.release("refused")


async def test_a_child_killed_while_idle_is_not_given_out_again(light: ChildPool) -> None:
    async with light.child("numpy", key="k") as child:
        pass
    psutil.Process(child.pid).kill()
    assert await gone([child.pid])
    await asyncio.sleep(0.1)
    async with light.child("numpy", key="k") as other:
        assert other.pid != child.pid
    await light.release("k")


async def test_an_idle_child_ends_after_its_time() -> None:
    pool = ChildPool(PoolOptions(start="spawn", idle_seconds=0.1))
    async with pool.child("numpy", key="k") as child:
        pass
    assert await gone([child.pid])
    assert pool.state()["idle"] == []
    await pool.close()


async def test_a_child_with_a_time_of_its_own_waits_for_it_whatever_other_children_do() -> None:
    pool = ChildPool(PoolOptions(start="spawn", idle_seconds=0.1, keep=1))
    async with pool.child("none", key="own", idle_seconds=60) as lasting:
        pass
    others: list[int] = []
    for key in ("a", "b"):
        async with pool.child("none", key=key) as child:
            others.append(child.pid)
    assert await gone(others)
    assert [kept["pid"] for kept in pool.state()["idle"]] == [lasting.pid]
    async with pool.child("none", key="own", idle_seconds=0.1) as again:
        assert again.pid == lasting.pid
    assert await gone([lasting.pid])
    await pool.close()


async def test_children_get_no_secret_of_the_parent(light: ChildPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AzureWebJobsStorage", "AccountKey=secret")
    monkeypatch.setenv("ASPNET_JWT_KEY", "secret")
    assert "secret" not in str(child_environment("numpy"))
    async with light.child("numpy") as child:
        environment = psutil.Process(child.pid).environ()
    assert not {"AzureWebJobsStorage", "ASPNET_JWT_KEY"} & set(environment)


async def test_a_killed_fork_server_is_replaced_and_its_children_go_on(pool: ChildPool, tmp_path: Path) -> None:
    job = Job(long_sample(), tmp_path)
    async with pool.child("tensorflow") as child:
        await job.prepare(child)
        server = pool.state()["servers"]["tensorflow"]
        psutil.Process(server).kill()
        assert (await job.train(child, seconds=0))["outcome"] == "continue"
        async with pool.child("tensorflow") as other:
            assert (await job.train(other, seconds=0))["outcome"] == "continue"
    assert pool.state()["servers"]["tensorflow"] not in (None, server)


async def test_a_child_killed_in_a_call_is_reported_dead(pool: ChildPool, tmp_path: Path) -> None:
    job, started = Job(long_sample(), tmp_path), Started()
    async with pool.child("tensorflow") as child:
        await job.prepare(child)
        training = asyncio.ensure_future(job.train(child, started))
        await started.wait()
        psutil.Process(child.pid).kill()
        with pytest.raises(ChildDied):
            await training


async def test_a_cancelled_training_returns_its_partial_history(pool: ChildPool, tmp_path: Path) -> None:
    job, started = Job(long_sample(), tmp_path), Started()
    async with pool.child("tensorflow") as child:
        await job.prepare(child)
        training = asyncio.ensure_future(job.train(child, started))
        await started.wait()
        await child.cancel()
        result = await training
    assert result["outcome"] == "cancelled"
    assert len(result["history"]["loss"]) == result["epoch"] >= 1


async def test_a_call_that_is_late_is_killed(pool: ChildPool, tmp_path: Path) -> None:
    job = Job(long_sample(), tmp_path)
    async with pool.child("tensorflow") as child:
        await job.prepare(child)
        with pytest.raises(ChildTimedOut, match="longer than 1 seconds"):
            await child.call("train", job.arguments | {"seconds": None}, seconds=1)
    assert await gone([child.pid])


async def test_a_caller_that_gives_up_takes_its_child_with_it(pool: ChildPool, tmp_path: Path) -> None:
    job, started = Job(long_sample(), tmp_path), Started()
    async with pool.child("tensorflow", key="k") as child:
        await job.prepare(child)
        training = asyncio.ensure_future(job.train(child, started))
        await started.wait()
        training.cancel()
        with pytest.raises(asyncio.CancelledError):
            await training
    assert await gone([child.pid])


async def test_a_child_over_its_memory_limit_is_killed(tmp_path: Path) -> None:
    pool = ChildPool(PoolOptions(start="spawn", memory_limit_bytes=60 * 1024 * 1024))
    async with pool.child("tensorflow") as child:
        with pytest.raises(ChildOutOfMemory, match="memory limit"):
            await Job(long_sample(), tmp_path).prepare(child)
    assert await gone([child.pid])
    await pool.close()


async def test_closing_the_pool_ends_busy_children_too(tmp_path: Path) -> None:
    pool, started = ChildPool(PoolOptions(start=STARTS[0])), Started()
    job = Job(long_sample(), tmp_path)

    async def train() -> None:
        async with pool.child("tensorflow", key="k") as child:
            await job.prepare(child)
            await job.train(child, started)

    training = asyncio.ensure_future(train())
    await started.wait()
    state = pool.state()
    pids = [child["pid"] for child in state["busy"]] + list(filter(None, state["servers"].values()))
    await pool.close()
    with pytest.raises(ChildDied):
        await training
    assert await gone(pids, seconds=0)


@pytest.mark.parametrize("start", STARTS)
async def test_nothing_is_left_of_a_killed_parent(start: Start, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.unit.keras_worker.long_training", start, str(tmp_path)]
    parent = await asyncio.create_subprocess_exec(*command, cwd=APP_ROOT, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pids = json.loads(await parent.stdout.readline())
    assert len(pids) == (2 if start == "fork" else 1)
    assert all(map(_alive, pids))
    parent.kill()
    await parent.wait()
    assert await gone(pids)


async def test_what_a_spawned_child_prints_does_not_reach_the_channel() -> None:
    code = (
        "from core.keras_worker.channel import Channel, standard_streams\n"
        "channel = Channel(*standard_streams())\n"
        "import os; print('stray'); os.write(1, b'stray'); channel.send({'clean': True})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=APP_ROOT, capture_output=True, check=True)
    assert json.loads(done.stdout) == {"clean": True}
    assert done.stderr.count(b"stray") == 2


async def test_the_parents_side_loads_no_keras() -> None:
    heavy = "{'keras', 'tensorflow', 'numpy', 'polars'}"
    code = f"import sys, core.keras_worker.pool; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=APP_ROOT, capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"
