"""Jobs that have lost their orchestration."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from core.base.clock import timestamp
from core.importing.states import ImportStatus
from core.jobs.quota import Held
from core.jobs.start import RunState
from core.jobs.states import Status
from core.upkeep.kinds import IMPORTS, TRAININGS
from core.upkeep.lost_runs import MOST_RESTARTS, restart_lost
from tests.unit.upkeep.conftest import DAY, LATER, OWNER, Functions, World

LOST = [RunState.NONE, RunState.ENDED]


@pytest.mark.parametrize("state", LOST)
async def test_a_running_job_without_its_orchestration_is_started_again_once(
    world: World, functions: Functions, state: RunState, caplog: pytest.LogCaptureFixture
) -> None:
    job = await world.training(age=DAY, status=Status.RUNNING, claim="before", runner="dead", progress=0.4)
    functions.states[job.id] = state
    await asyncio.gather(*(world.turn(restart_lost, TRAININGS) for _ in range(5)))
    assert functions.started == [job.id]
    restarted = await world.jobs.get(OWNER, job.id)
    assert restarted.restarts == 1 and restarted.claim not in ("", "before")
    assert restarted.status is Status.RUNNING and restarted.progress == 0.4
    [told] = [message for message in caplog.messages if "started again [" in message]
    assert job.id in told


@pytest.mark.parametrize("state", LOST)
async def test_a_claim_whose_orchestration_never_came_or_broke_is_started_again(
    world: World, functions: Functions, state: RunState
) -> None:
    training = await world.training(age=DAY, claim="before")
    importing = await world.importing(age=DAY, claim="before")
    reading = await world.importing(age=DAY, claim="before", status=ImportStatus.PROCESSING)
    functions.states |= dict.fromkeys((training.id, importing.id, reading.id), state)
    await world.turn(restart_lost, TRAININGS)
    await world.turn(restart_lost, IMPORTS)
    assert sorted(functions.started) == sorted([training.id, importing.id, reading.id])


async def test_a_job_whose_orchestration_lives_or_that_was_written_just_now_is_left_alone(
    world: World, functions: Functions
) -> None:
    alive = await world.training(age=9 * DAY, status=Status.RUNNING, claim="x", runner="y")
    functions.states[alive.id] = RunState.ALIVE
    others = [
        await world.training(age=timedelta(minutes=4), status=Status.RUNNING, claim="x"),
        await world.training(age=timedelta(minutes=4), claim="x"),
        await world.training(age=DAY),
        await world.training(age=DAY, status=Status.SUCCEEDED, claim="x"),
        await world.training(age=DAY, status=Status.CANCELLED, claim="x"),
    ]
    await world.turn(restart_lost, TRAININGS)
    assert not functions.started
    for job in (alive, *others):
        assert await world.jobs.get(OWNER, job.id) == job


async def test_a_job_that_somebody_wrote_while_it_was_looked_at_is_left_alone(
    world: World, functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last activity may be ending it at this very moment."""
    job = await world.training(age=DAY, status=Status.RUNNING, claim="x")
    state = functions.state

    async def meanwhile(asked: object) -> RunState:
        await world.jobs.change(OWNER, job.id, lambda it: replace(it, progress=0.9))
        return await state(job)

    monkeypatch.setattr(functions, "state", meanwhile)
    await world.turn(restart_lost, TRAININGS)
    assert not functions.started
    assert (await world.jobs.get(OWNER, job.id)).claim == "x"


async def test_a_crash_between_claim_and_start_is_made_good_by_a_later_round(
    world: World, functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await world.training(age=DAY, status=Status.RUNNING, claim="x")

    async def dies(job: object) -> None:
        raise ConnectionError("the process died here")

    with monkeypatch.context() as broken:
        broken.setattr(functions, "start", dies)
        with pytest.raises(AssertionError, match="failed"):
            await world.turn(restart_lost, TRAININGS)
    # The claim has the time of the emulator's writing, which is long ago at the time of the test.
    await world.turn(restart_lost, TRAININGS)
    assert functions.started == [job.id]
    assert (await world.jobs.get(OWNER, job.id)).restarts == 2


async def test_what_breaks_again_and_again_ends_with_a_sentence(world: World, functions: Functions) -> None:
    training = await world.training(age=DAY, status=Status.RUNNING, claim="x", restarts=MOST_RESTARTS)
    importing = await world.importing(age=DAY, status=ImportStatus.PROCESSING, claim="x", restarts=MOST_RESTARTS)
    await world.turn(restart_lost, TRAININGS)
    await world.turn(restart_lost, IMPORTS)
    assert not functions.started
    failed = await world.jobs.get(OWNER, training.id)
    assert failed.status is Status.FAILED and failed.error.startswith("Training failed: it was interrupted")
    ended = await world.imports.get(OWNER, importing.id)
    assert ended.status is ImportStatus.FAILED and ended.error.startswith("Import failed: it was interrupted")
    assert await world.imports.held(OWNER) == Held()


async def test_what_a_person_ended_is_not_started_again(world: World, functions: Functions) -> None:
    stopped = await world.training(age=DAY, status=Status.RUNNING, claim="x")
    cancelled = await world.training(age=DAY, status=Status.RUNNING, claim="x", cancel_requested=True)
    functions.states |= dict.fromkeys((stopped.id, cancelled.id), RunState.TERMINATED)
    assert (await world.turn(restart_lost, TRAININGS))["given up"] == 2
    assert not functions.started
    failed = await world.jobs.get(OWNER, stopped.id)
    assert failed.status is Status.FAILED and "operator" in failed.error
    assert (await world.jobs.get(OWNER, cancelled.id)).status is Status.CANCELLED


async def test_a_job_is_asked_after_only_when_nobody_wrote_it_for_minutes(
    world: World, functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many that run well, none costs a question."""
    for _ in range(3):
        await world.training(age=DAY, status=Status.RUNNING, claim="x", updated_at=timestamp(LATER))

    async def state(job: object) -> RunState:
        raise AssertionError("asked")

    monkeypatch.setattr(functions, "state", state)
    assert await world.turn(restart_lost, TRAININGS) == {"seen": 0}
