"""Quota rows that say something else than their jobs do."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from core.base import tables
from core.importing.states import ImportStatus
from core.importing.store import ImportStore
from core.jobs.quota import ROW_KEY, Held, quota_row
from core.jobs.rows import JobRows
from core.jobs.states import Status
from core.jobs.store import JobStore
from core.upkeep.quotas import reconcile_quotas
from tests.unit.upkeep.conftest import OWNER, World


async def say(world: World, store: type[JobRows[Any]], held: Held, owner: str = OWNER) -> None:
    """Make the quota row say that, whatever the jobs say."""
    rows = await tables.table(world.clients.tables, store.TABLE)
    await tables.change(rows, owner, ROW_KEY, lambda _: quota_row(owner, held, store.COUNTED))


@pytest.mark.parametrize("said", [Held(jobs=3, bytes=900), Held(), Held(jobs=2, bytes=5)])
async def test_a_quota_that_says_something_else_than_the_jobs_is_set_right(world: World, said: Held) -> None:
    await world.importing(upload_size=100)
    await world.importing(status=ImportStatus.PROCESSING, upload_size=200)
    await world.importing(status=ImportStatus.SUCCEEDED, upload_size=400)
    await say(world, ImportStore, said)
    assert (await world.turn(reconcile_quotas, ImportStore))["corrected"] == 1
    assert await world.imports.held(OWNER) == Held(jobs=2, bytes=300)


async def test_trainings_are_counted_with_those_that_run_among_them(world: World) -> None:
    await world.training()
    await world.training(claim="x")
    await world.training(claim="x", status=Status.RUNNING)
    await world.training(claim="x", status=Status.FAILED)
    await say(world, JobStore, Held(jobs=9, running=9))
    assert (await world.turn(reconcile_quotas, JobStore))["corrected"] == 1
    assert await world.jobs.held(OWNER) == Held(jobs=3, running=2)


async def test_a_quota_row_that_is_missing_or_has_no_job_left_is_set_right(world: World) -> None:
    await world.importing(upload_size=100)
    await tables.delete(await tables.table(world.clients.tables, ImportStore.TABLE), OWNER, ROW_KEY)
    await say(world, ImportStore, Held(jobs=3, bytes=7), "somebody")
    assert (await world.turn(reconcile_quotas, ImportStore))["corrected"] == 2
    assert await world.imports.held(OWNER) == Held(jobs=1, bytes=100)
    assert await world.imports.held("somebody") == Held()


async def test_a_quota_that_is_right_is_not_written(world: World) -> None:
    await world.importing(upload_size=100)
    rows = await tables.table(world.clients.tables, ImportStore.TABLE)
    before = await tables.read(rows, OWNER, ROW_KEY)
    assert "corrected" not in await world.turn(reconcile_quotas, ImportStore)
    assert await tables.read(rows, OWNER, ROW_KEY) == before


async def test_jobs_that_come_and_go_meanwhile_never_make_the_quota_wrong(world: World) -> None:
    async def lives() -> None:
        for _ in range(5):
            job = await world.importing(upload_size=10)
            await world.imports.change(OWNER, job.id, lambda it: replace(it, upload_size=30))
            await world.imports.change(OWNER, job.id, lambda it: replace(it, status=ImportStatus.CANCELLED))

    async def rounds() -> None:
        for _ in range(10):
            await world.turn(reconcile_quotas, ImportStore)

    await asyncio.gather(lives(), lives(), rounds(), rounds())
    assert await world.imports.held(OWNER) == Held()
