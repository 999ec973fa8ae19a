"""Jobs out of which a JSON document comes: it is kept in the row where it fits, else in a blob."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol, TypeVar

from azure.core.exceptions import ResourceNotFoundError

from core.base import blobs
from core.jobs.rows import JobRows, StoredJob


class DocumentedJob(StoredJob, Protocol):
    """`document` or, where that is too large, `document_name` is what came out of the job."""

    @property
    def folder(self) -> str: ...
    @property
    def document(self) -> bytes: ...
    @property
    def document_name(self) -> str: ...


AnyJob = TypeVar("AnyJob", bound=DocumentedJob)


class DocumentRows(JobRows[AnyJob]):
    """Reads and keeps the documents of jobs of one kind, beside the jobs themselves."""

    async def _pack(self, job: AnyJob, document: dict[str, Any], name: str) -> tuple[bytes, str]:
        """`document` and `document_name` for what came out of the job: in the row where it fits, else in a blob.

        Two activities at work on one job at once may write the same blob: of the same job, the same content.
        """
        packed = await asyncio.to_thread(blobs.pack, document)
        if len(packed) <= blobs.INLINE_LIMIT:
            return packed, ""
        name = f"{job.folder}/{name}"
        await blobs.write_blob(self._storage.artifacts, name, packed, "application/gzip")
        return b"", name

    async def _unpack(self, job: AnyJob) -> dict[str, Any] | None:
        """What came out of the job; None where there is nothing (any more)."""
        if job.document:
            return await asyncio.to_thread(blobs.unpack, job.document)
        if not job.document_name:
            return None
        try:
            return await blobs.read_document(self._storage.artifacts, job.document_name)
        except ResourceNotFoundError:
            return None
