"""Quota rows that say something else than their jobs do: set right."""

from __future__ import annotations

from typing import Any

from core.base import tables
from core.base.tables import Row
from core.jobs.rows import JobRows
from core.upkeep.turn import Turn

_WHERE = "RowKey eq 'quota' or status eq 'queued' or status eq 'running' or status eq 'processing'"


async def reconcile_quotas(store: type[JobRows[Any]], turn: Turn) -> None:
    """Look at every owner who has a quota row or a job that has not ended."""
    rows, jobs = await tables.table(turn.storage.tables, store.TABLE), store(turn.storage)

    async def reconcile(owner: str) -> str:
        return "corrected" if await jobs.reconcile(owner) else ""

    async def reconcile_page(page: list[Row]) -> None:
        await turn.each({row["PartitionKey"] for row in page}, reconcile)

    select = ["PartitionKey", "RowKey"]
    await turn.walk(
        lambda token: tables.pages(rows, _WHERE, {}, select=select, size=turn.page, token=token), reconcile_page
    )
