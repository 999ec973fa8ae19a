"""Import jobs in Table Storage: partition = owner, row key sorts newest first, one quota row beside them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from azure.core.exceptions import ResourceNotFoundError

from core.base import blobs, tables
from core.base.clients import Storage
from core.base.clock import now, timestamp
from core.base.errors import NotFound, TooMany, Unavailable
from core.importing.job import KEY_PREFIX, ImportJob
from core.importing.quota import ROW_KEY, Held, check_quota
from core.importing.states import ImportStatus, check_transition

TABLE = "imports"

# With jitter of up to 0.2 s this lets some fifty writers of one quota row all get through.
_TRIES = 60

# An upload that began just before its link ended may take so long.
_UPLOAD_GRACE = timedelta(minutes=15)


class ImportStore:
    """Reads import jobs and makes every change of one as a conditional write that respects states and quota."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def create(self, job: ImportJob) -> ImportJob:
        """Raises TooMany if the owner's quota is used up."""
        try:
            return await self._insert(job)
        except TooMany:
            if not await self._give_up_uploads(job.owner):
                raise
        return await self._insert(job)

    async def get(self, owner: str, job_id: str) -> ImportJob:
        """Raises NotFound, also for another owner's job."""
        row = await tables.read(await self._table(), owner, KEY_PREFIX + job_id)
        if row is None:
            raise _not_found()
        return ImportJob.of(row)

    async def list(self, owner: str) -> list[ImportJob]:
        """The owner's jobs, newest first."""
        rows = tables.scan(await self._table(), owner, KEY_PREFIX)
        return [ImportJob.of(row) async for row in rows]

    async def held(self, owner: str) -> Held:
        """What the owner's jobs hold, by the quota row."""
        return Held.of(await tables.read(await self._table(), owner, ROW_KEY))

    async def change(self, owner: str, job_id: str, mutate: Callable[[ImportJob], ImportJob | None]) -> ImportJob:
        """Apply `mutate` to the job as it is at the moment of writing; the job as it then stands.

        `mutate` returns the new job, or None to leave it as it is, and may raise. It is called again whenever
        somebody else was faster. Raises NotFound, Conflict for a forbidden transition, TooMany.
        """
        for attempt in range(_TRIES):
            before = await self.get(owner, job_id)
            after = mutate(before)
            if after is None:
                return before
            check_transition(before.status, after.status)
            at = timestamp(now())
            finished = {"finished_at": at} if after.ended and not before.ended else {}
            written = await self._write(before, replace(after, updated_at=at, **finished))
            if written:
                return await self.get(owner, job_id)
            await _pause(attempt)
        raise _too_many_changes()

    async def pack_payload(self, job: ImportJob, payload: dict[str, Any]) -> dict[str, Any]:
        """The job's columns for a graph that was read: in the row where it fits, else in a blob.

        Two activities at work on one job may write the same blob: drawings of the same file.
        """
        packed = await asyncio.to_thread(blobs.pack, payload)
        if len(packed) <= blobs.INLINE_LIMIT:
            return {"document": packed, "document_name": ""}
        name = f"{job.folder}/import.json.gz"
        await blobs.write_blob(self._storage.artifacts, name, packed, "application/gzip")
        return {"document": b"", "document_name": name}

    async def payload(self, job: ImportJob) -> dict[str, Any] | None:
        """The graph that was read; None until the job has succeeded."""
        if job.document:
            return await asyncio.to_thread(blobs.unpack, job.document)
        if not job.document_name:
            return None
        try:
            return await blobs.read_document(self._storage.artifacts, job.document_name)
        except ResourceNotFoundError:
            return None

    async def _insert(self, job: ImportJob) -> ImportJob:
        for attempt in range(_TRIES):
            if await self._write(None, job):
                return await self.get(job.owner, job.id)
            await _pause(attempt)
        raise _too_many_changes()

    async def _write(self, before: ImportJob | None, after: ImportJob) -> bool:
        """Write the job, with the quota row if it takes or gives back; False if somebody was faster at either."""
        rows = await self._table()
        job_row = {**after.row(), "etag": before.etag} if before is not None else after.row()
        held_before, held_after = Held.by(before), Held.by(after)
        if before is not None and held_before == held_after:
            return await tables.replace(rows, job_row) is not None
        quota_row = await tables.read(rows, after.owner, ROW_KEY)
        held = Held.of(quota_row)
        wanted = held.moved(held_before, held_after)
        check_quota(held, wanted, self._storage.settings)
        changed = wanted.row(after.owner) | ({"etag": quota_row["etag"]} if quota_row is not None else {})
        return await tables.write_together(rows, [changed, job_row])

    async def _give_up_uploads(self, owner: str) -> bool:
        """Fail the jobs whose upload link has ended without an upload; whether there were any."""
        life = timedelta(minutes=self._storage.settings.upload_url_minutes) + _UPLOAD_GRACE
        oldest = now() - life

        def given_up(job: ImportJob) -> ImportJob | None:
            if job.status is not ImportStatus.QUEUED or job.claim:
                return None
            return replace(job, status=ImportStatus.FAILED, error="Import failed: no file was uploaded in time.")

        jobs = [job for job in await self.list(owner) if not job.ended and not job.claim]
        late = [job for job in jobs if datetime.fromisoformat(job.created_at) < oldest]
        for job in late:
            await self.change(owner, job.id, given_up)
            await blobs.delete_blob(self._storage.imports, job.upload_path)
        return bool(late)

    async def _table(self) -> Any:
        return await tables.table(self._storage.tables, TABLE)


async def _pause(attempt: int) -> None:
    await asyncio.sleep(random.uniform(0, min(0.01 * 2**attempt, 0.2)))


def _not_found() -> NotFound:
    return NotFound("There is no import job with that id.")


def _too_many_changes() -> Unavailable:
    return Unavailable("Too many changes of your imports at once; try again in a moment.")
