"""Import jobs in Table Storage, and how much of them an owner may have waiting."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from azure.storage.blob.aio import BlobClient

from core.base import tables
from core.base.errors import TooMany
from core.base.settings import MIB
from core.importing.job import KEY_PREFIX, ImportJob
from core.importing.states import TRANSITIONS, ImportStatus
from core.jobs.documents import DocumentRows
from core.jobs.quota import Held


class ImportStore(DocumentRows[ImportJob]):
    TABLE = "imports"
    KEY_PREFIX = KEY_PREFIX
    NOUN = "import job"
    TRANSITIONS = TRANSITIONS
    COUNTED = ("jobs", "bytes")

    async def pack_payload(self, job: ImportJob, payload: dict[str, Any]) -> dict[str, Any]:
        """The job's columns for a graph that was read."""
        document, name = await self._pack(job, payload, "import.json.gz")
        return {"document": document, "document_name": name}

    async def payload(self, job: ImportJob) -> dict[str, Any] | None:
        """The graph that was read; None until the job has succeeded."""
        return await self._unpack(job)

    def _of(self, row: tables.Row) -> ImportJob:
        return ImportJob.of(row)

    def _held(self, job: ImportJob) -> Held:
        return Held() if job.ended else Held(jobs=1, bytes=job.upload_size)

    def _check_quota(self, held: Held, wanted: Held) -> None:
        most_jobs = self._storage.settings.import_job_max_pending_per_user
        if wanted["jobs"] > held["jobs"] and wanted["jobs"] > most_jobs:
            raise TooMany(
                f"You have {held['jobs']} imports that are not done yet, and at most {most_jobs} are allowed at once"
                " (IMPORT_JOB_MAX_PENDING_PER_USER). Wait for one to end, or cancel one."
            )
        most_mib = self._storage.settings.import_job_pending_storage_limit_mb
        more_bytes = wanted["bytes"] > held["bytes"]
        full = (more_bytes or wanted["jobs"] > held["jobs"]) and held["bytes"] >= most_mib * MIB
        if most_mib and (full or (more_bytes and wanted["bytes"] > most_mib * MIB)):
            raise TooMany(
                f"Your imports that are not done yet would have more than {most_mib} MiB uploaded"
                " (IMPORT_JOB_PENDING_STORAGE_LIMIT_MB). Wait for one to end, or cancel one."
            )

    def _stamped(self, before: ImportJob, after: ImportJob, at: str) -> ImportJob:
        finished = {"finished_at": at} if after.ended and not before.ended else {}
        return replace(after, updated_at=at, **finished)

    def _upload(self, job: ImportJob) -> BlobClient:
        return self._storage.imports.get_blob_client(job.upload_path)

    def _given_up(self, job: ImportJob) -> ImportJob:
        return replace(job, status=ImportStatus.FAILED, error="Import failed: no file was uploaded in time.")
