"""Presets in storage: one row each, with its slug as the key, so that no two can have the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from azure.data.tables.aio import TableClient

from core.base import blobs, tables
from core.base.clients import Storage
from core.base.errors import BadRequest, Conflict, NotFound, TooLarge
from core.graphs.preset import Preset, shipped

TABLE = "presets"
_PARTITION = "presets"


class PresetStore:
    """Stored presets laid over the shipped ones: a row with a shipped preset's id takes its place."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def list(self) -> list[Preset]:
        """All presets, the last changed first."""
        current = {**shipped(), **await self._stored()}
        presets = [preset for preset in current.values() if not preset.deleted]
        return sorted(presets, key=lambda preset: (preset.updated_at, preset.slug), reverse=True)

    async def get(self, preset_id: str) -> Preset:
        """Raises NotFound."""
        preset = (await self._stored()).get(preset_id) or shipped().get(preset_id)
        if preset is None or preset.deleted:
            raise NotFound("There is no preset with that id.")
        return preset

    async def create(self, preset: Preset) -> Preset:
        """Raises BadRequest where the slug is taken."""
        await self._insert(preset)
        return preset

    async def change(self, preset_id: str, mutate: Callable[[Preset], Preset]) -> Preset:
        """Raises NotFound, BadRequest where a new slug is taken."""
        before = await self.get(preset_id)
        after = mutate(before)
        rows = await self._table()
        if after.slug != before.slug:
            await self._insert(after)
            # A crash here leaves the preset under both slugs; `_stored` shows the one changed last.
            await tables.delete(rows, _PARTITION, before.slug)
            return after
        await tables.change(rows, _PARTITION, after.slug, lambda _: _row(after))
        return after

    async def delete(self, preset_id: str) -> None:
        """Raises NotFound. A shipped preset is marked, since its file stays."""
        preset = await self.get(preset_id)
        rows = await self._table()
        if preset_id in shipped():
            marked = {**_row(preset), "deleted": True}
            await tables.change(rows, _PARTITION, preset.slug, lambda _: marked)
        else:
            await tables.delete(rows, _PARTITION, preset.slug)

    async def _insert(self, preset: Preset) -> None:
        current = {**shipped(), **await self._stored()}
        taken = any(
            other.slug == preset.slug and other.id != preset.id for other in current.values() if not other.deleted
        )
        try:
            if taken:
                raise Conflict("taken")
            await tables.insert(await self._table(), _row(preset))
        except Conflict:
            raise BadRequest({"slug": ["Another preset has this slug; choose another."]}) from None

    async def _stored(self) -> dict[str, Preset]:
        presets: dict[str, Preset] = {}
        async for row in tables.scan(await self._table(), _PARTITION):
            preset = _preset(row)
            if preset.id not in presets or presets[preset.id].updated_at < preset.updated_at:
                presets[preset.id] = preset
        return presets

    async def _table(self) -> TableClient:
        return await tables.table(self._storage.tables, TABLE)


def _row(preset: Preset) -> tables.Row:
    packed = blobs.pack({key: getattr(preset, key) for key in _IN_DOCUMENT})
    if len(packed) > blobs.INLINE_LIMIT:
        raise TooLarge("The preset is too large; it may pack into 60 KiB at most.")
    values: dict[str, Any] = {key: getattr(preset, key) for key in _IN_ROW}
    return {"PartitionKey": _PARTITION, "RowKey": preset.slug, **values, "document": packed}


def _preset(row: tables.Row) -> Preset:
    return Preset(**blobs.unpack(row["document"]), **{key: row[key] for key in _IN_ROW})


# Texts of people may be any Unicode, which a property of a row may not.
_IN_DOCUMENT = ("name", "description", "graph")
_IN_ROW = ("id", "slug", "created_at", "updated_at", "deleted")
