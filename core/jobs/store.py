"""Job rows in Table Storage: partition = owner, row key sorts newest first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from azure.core.exceptions import ResourceNotFoundError

from core.base import blobs, tables
from core.base.clients import Storage
from core.base.clock import now, timestamp
from core.base.errors import NotFound
from core.jobs.job import KEY_PREFIX, Job
from core.jobs.states import check_transition

TABLE = "jobs"


class JobStore:
    """Reads jobs and makes every change of one as a conditional write that respects the transitions."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def create(self, job: Job) -> Job:
        return Job.of(await tables.insert(await self._table(), job.row()))

    async def get(self, owner: str, job_id: str) -> Job:
        """Raises NotFound, also for another owner's job."""
        row = await tables.read(await self._table(), owner, KEY_PREFIX + job_id)
        if row is None:
            raise NotFound("There is no training job with that id.")
        return Job.of(row)

    async def list(self, owner: str) -> list[Job]:
        """The owner's jobs, newest first."""
        rows = tables.scan(await self._table(), owner, KEY_PREFIX)
        return [Job.of(row) async for row in rows]

    async def change(self, owner: str, job_id: str, mutate: Callable[[Job], Job | None]) -> Job:
        """Apply `mutate` to the job as it is at the moment of writing; the job as it then stands.

        `mutate` returns the new job, or None to leave it as it is, and may raise. It is called again
        whenever somebody else was faster. Raises NotFound, Conflict for a forbidden transition.
        """

        def on_row(row: tables.Row | None) -> tables.Row | None:
            if row is None:
                raise NotFound("There is no training job with that id.")
            before = Job.of(row)
            after = mutate(before)
            if after is None:
                return None
            check_transition(before.status, after.status)
            return replace(after, updated_at=timestamp(now())).row()

        row = await tables.change(await self._table(), owner, KEY_PREFIX + job_id, on_row)
        if row is None:
            raise NotFound("There is no training job with that id.")
        return Job.of(row)

    async def pack_result(self, job: Job, result: dict[str, Any]) -> tuple[bytes, str]:
        """`document` and `document_name` for a result: in the row where it fits, else in a blob.

        Two activities at work on one job at once may write the same blob: the same result, since a
        training is exact.
        """
        packed = await asyncio.to_thread(blobs.pack, result)
        if len(packed) <= blobs.INLINE_LIMIT:
            return packed, ""
        name = f"{job.folder}/result.json.gz"
        await blobs.write_blob(self._storage.artifacts, name, packed, "application/gzip")
        return b"", name

    async def result(self, job: Job) -> dict[str, Any]:
        """The packed result, {} where there is none (any more)."""
        if job.document:
            return blobs.unpack(job.document)
        if not job.document_name:
            return {}
        try:
            return await blobs.read_document(self._storage.artifacts, job.document_name)
        except ResourceNotFoundError:
            return {}

    async def view(self, job: Job) -> dict[str, Any]:
        return job.view(await self.result(job) if job.ended else {})

    async def _table(self) -> Any:
        return await tables.table(self._storage.tables, TABLE)
