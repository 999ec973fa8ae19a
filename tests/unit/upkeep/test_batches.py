"""Batches of predictions under the rules that hold for all kinds of jobs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from core.base import tables
from core.base.blobs import write_blob
from core.base.clock import newest_first_id, timestamp
from core.jobs.start import RunState
from core.jobs.states import Status
from core.serving.batches.batch import Batch
from core.serving.batches.store import BatchStore
from core.upkeep.belongings import PLACES
from core.upkeep.kinds import BATCHES
from core.upkeep.leftovers import delete_leftovers
from core.upkeep.lost_runs import restart_lost
from core.upkeep.lost_starts import start_lost
from core.upkeep.quotas import reconcile_quotas
from core.upkeep.retention import end_retention
from core.upkeep.uploads import end_never_uploaded
from tests.unit.upkeep.conftest import CSV, DAY, LATER, OWNER, Functions, World


async def batch(world: World, *, age: timedelta = DAY, upload: bool = False, output: bool = False, **changes: object):
    """A row, queued unless told otherwise, made `age` before the test's time."""
    at = timestamp(LATER - age)
    made = replace(Batch(OWNER, newest_first_id(), "job", at, at), **changes)
    if upload:
        await write_blob(world.clients.uploads, made.upload_path, CSV, "text/csv")
    if output:
        await write_blob(world.clients.artifacts, made.output_path, CSV, "text/csv")
    return await BatchStore(world.clients).create(made)


async def found(world: World, made: Batch) -> Batch:
    return await BatchStore(world.clients).get(OWNER, made.id)


async def test_a_batch_whose_event_was_lost_is_started_once(world: World, functions: Functions) -> None:
    lost, waiting = await batch(world, upload=True), await batch(world)
    for _ in range(2):
        await world.turn(start_lost, BATCHES)
    assert functions.started == [lost.id]
    assert (await found(world, waiting)).queued


async def test_a_batch_without_its_orchestration_goes_on_where_it_was(world: World, functions: Functions) -> None:
    made = await batch(world, status=Status.RUNNING, claim="before", offset=5, upload_size=9)
    ended = await batch(world, status=Status.RUNNING, claim="before")
    functions.states[ended.id] = RunState.TERMINATED
    await world.turn(restart_lost, BATCHES)
    assert functions.started == [made.id]
    again = await found(world, made)
    assert (again.restarts, again.offset, again.status) == (1, 5, Status.RUNNING)
    assert (await found(world, ended)).error.startswith("Prediction failed: it was ended by the operator")


async def test_a_batch_that_nobody_uploaded_for_ends_with_a_sentence_and_gives_its_place_back(world: World) -> None:
    late, young = await batch(world, age=2 * DAY), await batch(world, age=timedelta(hours=20))
    await world.turn(end_never_uploaded, BATCHES)
    assert (await found(world, late)).error == "Prediction failed: no file was uploaded in time."
    assert (await found(world, young)).queued
    store = BatchStore(world.clients)
    assert await store.held(OWNER) == {"jobs": 1}
    rows = await tables.table(world.clients.tables, store.TABLE)
    await tables.change(rows, OWNER, "quota", lambda row: {**(row or {}), "jobs": "7"})
    assert (await world.turn(reconcile_quotas, BatchStore))["corrected"] == 1
    assert await store.held(OWNER) == {"jobs": 1}


async def test_a_batch_keeps_what_it_needs_and_its_output_for_its_days(world: World) -> None:
    needed = [
        await batch(world, age=9 * DAY, upload=True),
        await batch(world, age=9 * DAY, upload=True, status=Status.RUNNING),
        await batch(world, age=9 * DAY, output=True, status=Status.SUCCEEDED),
    ]
    old = await batch(world, age=31 * DAY, upload=True, output=True, status=Status.SUCCEEDED)
    await batch(world, age=9 * DAY, upload=True, output=True, status=Status.FAILED)
    stray = replace(old, id=newest_first_id())
    await write_blob(world.clients.uploads, stray.upload_path, CSV, "text/csv")
    assert (await world.turn(end_retention, BATCHES))["marked"] == 1
    for place in ("uploads", "artifacts"):
        await world.turn(delete_leftovers, PLACES[place])
    assert await world.names("uploads") == {each.upload_path for each in needed[:2]}
    assert await world.names("artifacts") == {needed[2].output_path}
    assert (await found(world, old)).files_removed_at == timestamp(LATER)
