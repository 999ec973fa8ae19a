"""Blobs that no row needs: what a crash, a lost event or the end of the retention has left."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from core.base import blobs, tables
from core.base.tables import Row
from core.upkeep.belongings import Belonging, Place, Rows
from core.upkeep.turn import Turn

# A blob is often written before its row. That takes seconds; a blob that was written within the last day
# is left alone, whatever the rows say.
SAFE_AGE = timedelta(days=1)


@dataclass(frozen=True)
class Owned:
    """A blob of a known pattern, and the row that decides on it."""

    name: str
    etag: str
    belonging: Belonging
    owner: str
    id: str

    @property
    def key(self) -> tuple[str, str, str]:
        return self.belonging.rows.table, self.owner, self.belonging.rows.key_prefix + self.id


async def delete_leftovers(place: Place, turn: Turn) -> None:
    """Delete the blobs of the place that have a row's name but no row, or whose row needs them no more."""
    container = place.container(turn.storage)

    async def delete(blob: Owned) -> str:
        # Only the version that was listed: what has been written since is new.
        return "deleted" if await blobs.delete_blob(container, blob.name, blob.etag) else ""

    async def sweep(page: list[Any]) -> None:
        old = [blob for blob in page if turn.at - blob.last_modified > SAFE_AGE]
        owned = [found for blob in old if (found := _owned(place, blob))]
        # Read after the blobs were listed: a row that an old blob belongs to has been there for long.
        rows = await _rows(turn, owned)
        await turn.each((blob for blob in owned if not _needed(blob, rows.get(blob.key), turn)), delete)

    await turn.walk(lambda token: blobs.pages(container, size=turn.page, token=token), sweep)


def _owned(place: Place, blob: Any) -> Owned | None:
    for belonging in place.belongings:
        if found := belonging.pattern.fullmatch(blob.name):
            return Owned(blob.name, blob.etag, belonging, found["owner"], found["id"])
    return None


def _needed(blob: Owned, row: Row | None, turn: Turn) -> bool:
    return row is not None and blob.belonging.needed(row, blob.name, turn.at)


async def _rows(turn: Turn, owned: Iterable[Owned]) -> dict[tuple[str, str, str], Row]:
    """The rows of the blobs' owners by table and keys: a page of blobs is of neighbours, so a range finds them."""
    owners: dict[Rows, set[str]] = {}
    for blob in owned:
        owners.setdefault(blob.belonging.rows, set()).add(blob.owner)
    found: dict[tuple[str, str, str], Row] = {}
    for rows, names in owners.items():
        table = await tables.table(turn.storage.tables, rows.table)
        where = "PartitionKey ge @first and PartitionKey le @last and RowKey ge @key and RowKey lt @behind"
        keys = {"key": rows.key_prefix, "behind": tables.behind(rows.key_prefix)}
        select = ["PartitionKey", "RowKey", *rows.columns]
        async for row in tables.find(table, where, {"first": min(names), "last": max(names), **keys}, select):
            found[rows.table, row["PartitionKey"], row["RowKey"]] = row
    return found
