"""Graphs in storage: a row for each, and its drawing as compressed JSON in a blob of its revision.

A blob is written once and never changed; the row says which one counts. So a reader sees the whole of
one save or the whole of another. Small drawings are in the row as well, and a list is one query. The
row has no property that holds a text of a person: such a text may be any Unicode, a property may not.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables.aio import TableClient

from core.base import blobs, tables
from core.base.clients import Storage
from core.base.clock import new_id
from core.base.errors import NotFound, PreconditionFailed, Unavailable
from core.graphs.graph import Graph

TABLE = "graphs"
KEY_PREFIX = "graph-"
# A few at a time: a list of many large drawings must not use up all connections.
_READS_AT_ONCE = 8
_TRIES = 40


class GraphStore:
    """The graphs of all owners; each call names one owner and sees only theirs."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def create(self, graph: Graph) -> Graph:
        row = await self._write(graph)
        await tables.insert(await self._table(), row)
        return graph

    async def get(self, owner: str, graph_id: str) -> Graph:
        """Raises NotFound, also for another owner's graph."""
        return (await self.get_with_etag(owner, graph_id))[0]

    async def get_with_etag(self, owner: str, graph_id: str) -> tuple[Graph, str]:
        rows = await self._table()
        for _ in range(_TRIES):
            row = await tables.read(rows, owner, KEY_PREFIX + graph_id)
            if row is None:
                raise _not_found()
            try:
                return await self._graph(row), row["etag"]
            except ResourceNotFoundError:
                # A save flipped the row between our two reads; the new row names the new blob.
                continue
        raise Unavailable("The graph is being changed all the time; try again in a moment.")

    async def list(self, owner: str) -> list[Graph]:
        """The owner's graphs, the last changed first."""
        rows = [row async for row in tables.scan(await self._table(), owner, KEY_PREFIX)]
        gate = asyncio.Semaphore(_READS_AT_ONCE)

        async def read(row: tables.Row) -> Graph | None:
            async with gate:
                try:
                    return await self._graph(row)
                except ResourceNotFoundError:
                    return await self._read_again(owner, row)

        graphs = [graph for graph in await asyncio.gather(*map(read, rows)) if graph is not None]
        return sorted(graphs, key=lambda graph: (graph.updated_at, graph.id), reverse=True)

    async def change(
        self, owner: str, graph_id: str, mutate: Callable[[Graph], Graph], if_match: str = ""
    ) -> tuple[Graph, str]:
        """Apply `mutate` to the graph as it is at the moment of writing; the graph and ETag after that.

        Of two changes at once, the later one is applied to the result of the earlier. Raises NotFound,
        and PreconditionFailed where `if_match` names another version.
        """
        rows = await self._table()
        for attempt in range(_TRIES):
            graph, etag = await self.get_with_etag(owner, graph_id)
            if if_match and if_match != etag:
                raise PreconditionFailed("The graph was changed since it was read; read it again before saving.")
            old = await tables.read(rows, owner, KEY_PREFIX + graph_id)
            if old is None or old["etag"] != etag:
                continue
            changed = mutate(graph)
            row = await self._write(changed)
            # A crash here leaves a blob that no row names; it costs its bytes and nothing else.
            written = await tables.replace(rows, {**row, "etag": etag})
            if written is not None:
                await blobs.delete_blob(self._storage.graphs, old["blob"])
                return changed, written["etag"]
            await blobs.delete_blob(self._storage.graphs, row["blob"])
            await asyncio.sleep(random.uniform(0, min(0.01 * 2**attempt, 0.2)))
        raise Unavailable("Too many changes of the same graph at once; try again in a moment.")

    async def delete(self, owner: str, graph_id: str) -> None:
        """Raises NotFound."""
        rows = await self._table()
        row = await tables.read(rows, owner, KEY_PREFIX + graph_id)
        if row is None:
            raise _not_found()
        await tables.delete(rows, owner, KEY_PREFIX + graph_id)
        await blobs.delete_blob(self._storage.graphs, row["blob"])

    async def _write(self, graph: Graph) -> tables.Row:
        """Writes the drawing under a revision of its own and returns the row that names it."""
        name = f"{graph.owner}/{graph.id}/{new_id()}.json.gz"
        document = {key: value for key, value in graph.view().items() if key not in _IN_ROW}
        packed = await blobs.write_document(self._storage.graphs, name, document)
        return {
            "PartitionKey": graph.owner,
            "RowKey": KEY_PREFIX + graph.id,
            "blob": name,
            "inline": packed if len(packed) <= blobs.INLINE_LIMIT else b"",
            **{key: getattr(graph, key) for key in _IN_ROW if key != "id"},
        }

    async def _graph(self, row: tables.Row) -> Graph:
        """Raises ResourceNotFoundError where a save has replaced the blob since the row was read."""
        inline = row["inline"]
        if inline:
            document = blobs.unpack(inline)
        else:
            document = await blobs.read_document(self._storage.graphs, row["blob"])
        fields: dict[str, Any] = {**document, **{key: row[key] for key in _IN_ROW if key != "id"}}
        fields |= {"nodes": tuple(document["nodes"]), "edges": tuple(document["edges"])}
        return Graph(id=row["RowKey"].removeprefix(KEY_PREFIX), owner=row["PartitionKey"], **fields)

    async def _read_again(self, owner: str, row: tables.Row) -> Graph | None:
        try:
            return await self.get(owner, row["RowKey"].removeprefix(KEY_PREFIX))
        except NotFound:
            return None

    async def _table(self) -> TableClient:
        return await tables.table(self._storage.tables, TABLE)


_IN_ROW = ("id", "created_at", "updated_at")


def _not_found() -> NotFound:
    return NotFound("There is no graph with that id.")
