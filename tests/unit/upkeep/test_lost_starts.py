"""The third door of `start_once`."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from core.base.clock import now
from core.jobs.states import Status
from core.upkeep.kinds import IMPORTS, TRAININGS
from core.upkeep.lost_starts import start_lost
from tests.unit.importing.corpus import dense, keras_file, sequential
from tests.unit.upkeep.conftest import CSV, DAY, OWNER, Functions, World

MODEL = keras_file(sequential(dense()))


async def test_a_training_whose_event_was_lost_is_started_once_however_many_timers_see_it(
    world: World, functions: Functions
) -> None:
    job = await world.training(age=DAY, upload=CSV)
    await asyncio.gather(*(world.turn(start_lost, TRAININGS) for _ in range(5)))
    assert functions.started == [job.id]
    started = await world.jobs.get(OWNER, job.id)
    assert started.claim and started.dataset_size == len(CSV)
    assert "started" not in await world.turn(start_lost, TRAININGS)
    assert functions.started == [job.id]


async def test_an_import_whose_event_was_lost_is_started_once(world: World, functions: Functions) -> None:
    job = await world.importing(age=DAY, upload=MODEL)
    await asyncio.gather(*(world.turn(start_lost, IMPORTS) for _ in range(3)))
    assert functions.started == [job.id]
    assert (await world.imports.held(OWNER))["bytes"] == len(MODEL)


async def test_a_training_that_waited_for_days_is_started_all_the_same(world: World, functions: Functions) -> None:
    job = await world.training(age=9 * DAY, upload=CSV)
    await world.turn(start_lost, TRAININGS)
    assert functions.started == [job.id]


async def test_nothing_is_started_that_has_no_file_or_an_owner_at_work(world: World, functions: Functions) -> None:
    await world.training(age=DAY)
    await world.training(age=DAY, upload=CSV, claim="somebody")
    await world.training(age=DAY, upload=CSV, status=Status.RUNNING)
    await world.training(age=DAY, upload=CSV, status=Status.CANCELLED)
    await world.importing(age=DAY)
    await world.turn(start_lost, TRAININGS)
    await world.turn(start_lost, IMPORTS)
    assert not functions.started


async def test_of_trainings_that_wait_for_another_to_end_the_one_that_waited_longest_is_started(
    world: World, functions: Functions
) -> None:
    world.set(training_max_running_per_user=1)
    running = await world.training(claim="x", status=Status.RUNNING)
    waiting = [await world.training(age=days * DAY, upload=CSV) for days in (1, 3, 2)]
    assert (await world.turn(start_lost, TRAININGS))["waiting for their turn"] == 3
    assert not functions.started
    assert [await world.jobs.get(OWNER, job.id) for job in waiting] == waiting
    await world.jobs.change(OWNER, running.id, lambda it: replace(it, status=Status.FAILED))
    counts = await world.turn(start_lost, TRAININGS)
    assert counts["started"] == 1 and counts["waiting for their turn"] == 2
    assert functions.started == [waiting[1].id]


async def test_a_file_that_came_a_moment_ago_is_left_to_its_event(world: World, functions: Functions) -> None:
    await world.training(age=4 * DAY, upload=CSV)
    await world.turn(start_lost, TRAININGS, at=now() + timedelta(minutes=1))
    assert not functions.started


async def test_a_file_that_is_no_csv_ends_its_job_as_at_the_other_doors(world: World, functions: Functions) -> None:
    job = await world.training(age=DAY, upload=b"%PDF-1.7")
    assert (await world.turn(start_lost, TRAININGS))["refused"] == 1
    refused = await world.jobs.get(OWNER, job.id)
    assert refused.status is Status.FAILED and "PDF" in refused.error
    assert not functions.started and not await world.names("uploads")
