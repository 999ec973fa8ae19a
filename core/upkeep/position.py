"""Where a rule stopped when its time was over: a row of its own, from which its next turn goes on."""

from __future__ import annotations

from azure.data.tables.aio import TableClient

from core.base import tables
from core.base.clients import Storage

TABLE = "upkeep"
_PARTITION = "position"


class Position:
    """A text that only its rule understands; "" is the beginning.

    Two turns of one rule at once overwrite each other's. Each has walked all that lies before what it
    writes, so the worst is that a part is walked twice.
    """

    def __init__(self, storage: Storage, rule: str) -> None:
        self._storage = storage
        self._rule = rule

    async def read(self) -> str:
        row = await tables.read(await self._table(), _PARTITION, self._rule)
        return row["at"] if row is not None else ""

    async def write(self, at: str) -> None:
        row = {"PartitionKey": _PARTITION, "RowKey": self._rule, "at": at}
        await tables.change(await self._table(), _PARTITION, self._rule, lambda _: row)

    async def forget(self) -> None:
        await tables.delete(await self._table(), _PARTITION, self._rule)

    async def _table(self) -> TableClient:
        return await tables.table(self._storage.tables, TABLE)
