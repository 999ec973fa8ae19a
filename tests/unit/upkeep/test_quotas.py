"""Quota rows that say something else than their jobs do."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from core.base import tables
from core.importing.quota import ROW_KEY, Held
from core.importing.states import ImportStatus
from core.importing.store import TABLE, ImportStore
from core.upkeep.quotas import reconcile_quotas
from tests.unit.upkeep.conftest import OWNER, World

RULE = (TABLE, ImportStore)


async def say(world: World, held: Held, owner: str = OWNER) -> None:
    """Make the quota row say that, whatever the jobs say."""
    rows = await tables.table(world.clients.tables, TABLE)
    await tables.change(rows, owner, ROW_KEY, lambda _: held.row(owner))


@pytest.mark.parametrize("said", [Held(3, 900), Held(0, 0), Held(2, 5)])
async def test_a_quota_that_says_something_else_than_the_jobs_is_set_right(world: World, said: Held) -> None:
    await world.importing(upload_size=100)
    await world.importing(status=ImportStatus.PROCESSING, upload_size=200)
    await world.importing(status=ImportStatus.SUCCEEDED, upload_size=400)
    await say(world, said)
    assert (await world.turn(reconcile_quotas, *RULE))["corrected"] == 1
    assert await world.imports.held(OWNER) == Held(2, 300)


async def test_a_quota_row_that_is_missing_or_has_no_job_left_is_set_right(world: World) -> None:
    await world.importing(upload_size=100)
    await tables.delete(await tables.table(world.clients.tables, TABLE), OWNER, ROW_KEY)
    await say(world, Held(3, 7), "somebody")
    assert (await world.turn(reconcile_quotas, *RULE))["corrected"] == 2
    assert await world.imports.held(OWNER) == Held(1, 100)
    assert await world.imports.held("somebody") == Held(0, 0)


async def test_a_quota_that_is_right_is_not_written(world: World) -> None:
    await world.importing(upload_size=100)
    rows = await tables.table(world.clients.tables, TABLE)
    before = await tables.read(rows, OWNER, ROW_KEY)
    assert "corrected" not in await world.turn(reconcile_quotas, *RULE)
    assert await tables.read(rows, OWNER, ROW_KEY) == before


async def test_jobs_that_come_and_go_meanwhile_never_make_the_quota_wrong(world: World) -> None:
    async def life() -> None:
        job = await world.importing(upload_size=10)
        await world.imports.change(OWNER, job.id, lambda it: replace(it, upload_size=30))
        await world.imports.change(OWNER, job.id, lambda it: replace(it, status=ImportStatus.CANCELLED))

    async def lives() -> None:
        for _ in range(5):
            await life()

    async def rounds() -> None:
        for _ in range(10):
            await world.turn(reconcile_quotas, *RULE)

    await asyncio.gather(lives(), lives(), rounds(), rounds())
    assert await world.imports.held(OWNER) == Held(0, 0)
