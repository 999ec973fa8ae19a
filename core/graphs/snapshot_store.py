"""Snapshots: copies of a drawing that its owner can come back to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables.aio import TableClient

from core.base import blobs, tables
from core.base.clients import Storage
from core.base.clock import new_id, newest_first_id, now, timestamp
from core.base.errors import NotFound, Unavailable

TABLE = "snapshots"
KEY_PREFIX = "snapshot-"
_READS_AT_ONCE = 8
_TRIES = 20


@dataclass(frozen=True)
class Snapshot:
    """One snapshot of one owner; `payload` is the drawing as it was sent."""

    id: str
    owner: str
    graph: str
    label: str
    payload: Mapping[str, Any]
    created_at: str
    updated_at: str

    def view(self) -> dict[str, Any]:
        """The snapshot as the API shows it."""
        keys = ("id", "graph", "label", "payload", "created_at", "updated_at")
        return {key: getattr(self, key) for key in keys}


class SnapshotStore:
    """Each call names an owner and sees only theirs. A payload's blob is written once, as graphs' are."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def create(self, owner: str, graph: str, label: str, payload: Mapping[str, Any]) -> Snapshot:
        at = timestamp(now())
        snapshot = Snapshot(newest_first_id(), owner, graph, label, payload, at, at)
        await tables.insert(await self._table(), await self._write(snapshot))
        return snapshot

    async def get(self, owner: str, snapshot_id: str) -> Snapshot:
        """Raises NotFound, also for another owner's."""
        for _ in range(_TRIES):
            try:
                return await self._snapshot(await self._row(owner, snapshot_id))
            except ResourceNotFoundError:
                continue  # changed between our two reads
        raise Unavailable("The snapshot is being changed all the time; try again in a moment.")

    async def list(self, owner: str, graph: str = "") -> list[Snapshot]:
        """The owner's snapshots, newest first; of one graph where it is named."""
        found = tables.scan(await self._table(), owner, KEY_PREFIX)
        rows = [row async for row in found if not graph or row["graph"] == graph]
        gate = asyncio.Semaphore(_READS_AT_ONCE)

        async def read(row: tables.Row) -> Snapshot | None:
            async with gate:
                try:
                    return await self._snapshot(row)
                except ResourceNotFoundError:
                    return None  # deleted meanwhile

        return [snapshot for snapshot in await asyncio.gather(*map(read, rows)) if snapshot is not None]

    async def change(self, owner: str, snapshot_id: str, **changed: Any) -> Snapshot:
        """Label or payload given anew. Raises NotFound."""
        for _ in range(_TRIES):
            row = await self._row(owner, snapshot_id)
            snapshot = replace(await self._snapshot(row), **changed, updated_at=timestamp(now()))
            written = await self._write(snapshot)
            # A crash here leaves a blob that no row names.
            if await tables.replace(await self._table(), {**written, "etag": row["etag"]}) is not None:
                await blobs.delete_blob(self._storage.graphs, row["blob"])
                return snapshot
            await blobs.delete_blob(self._storage.graphs, written["blob"])
        raise Unavailable("Too many changes of the same snapshot at once; try again in a moment.")

    async def delete(self, owner: str, snapshot_id: str) -> None:
        """Raises NotFound."""
        await self._remove(await self._row(owner, snapshot_id))

    async def delete_of_graph(self, owner: str, graph: str) -> None:
        """Those of a graph that is gone."""
        async for row in tables.scan(await self._table(), owner, KEY_PREFIX):
            if row["graph"] == graph:
                await self._remove(row)

    async def _remove(self, row: tables.Row) -> None:
        await tables.delete(await self._table(), row["PartitionKey"], row["RowKey"])
        await blobs.delete_blob(self._storage.graphs, row["blob"])

    async def _row(self, owner: str, snapshot_id: str) -> tables.Row:
        row = await tables.read(await self._table(), owner, KEY_PREFIX + snapshot_id)
        if row is None:
            raise NotFound("There is no snapshot with that id.")
        return row

    async def _write(self, snapshot: Snapshot) -> tables.Row:
        name = f"{snapshot.owner}/snapshots/{snapshot.id}/{new_id()}.json.gz"
        packed = await blobs.write_document(
            self._storage.graphs, name, {"label": snapshot.label, "payload": snapshot.payload}
        )
        return {
            "PartitionKey": snapshot.owner,
            "RowKey": KEY_PREFIX + snapshot.id,
            "blob": name,
            "inline": packed if len(packed) <= blobs.INLINE_LIMIT else b"",
            **{key: getattr(snapshot, key) for key in _IN_ROW},
        }

    async def _snapshot(self, row: tables.Row) -> Snapshot:
        inline = row["inline"]
        if inline:
            document = blobs.unpack(inline)
        else:
            document = await blobs.read_document(self._storage.graphs, row["blob"])
        fields = {key: row[key] for key in _IN_ROW}
        snapshot_id = row["RowKey"].removeprefix(KEY_PREFIX)
        return Snapshot(id=snapshot_id, owner=row["PartitionKey"], **document, **fields)

    async def _table(self) -> TableClient:
        return await tables.table(self._storage.tables, TABLE)


_IN_ROW = ("graph", "created_at", "updated_at")
