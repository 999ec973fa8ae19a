"""Training jobs in Table Storage, and how many of them an owner may have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from azure.storage.blob.aio import BlobClient

from core.base import tables
from core.base.errors import TooMany
from core.jobs.documents import DocumentRows
from core.jobs.job import KEY_PREFIX, Job
from core.jobs.quota import Held
from core.jobs.states import TRANSITIONS, Status


class JobStore(DocumentRows[Job]):
    TABLE = "jobs"
    KEY_PREFIX = KEY_PREFIX
    NOUN = "training job"
    TRANSITIONS = TRANSITIONS
    COUNTED = ("jobs", "running")

    async def pack_result(self, job: Job, result: dict[str, Any]) -> tuple[bytes, str]:
        """`document` and `document_name` for a result."""
        return await self._pack(job, result, "result.json.gz")

    async def result(self, job: Job) -> dict[str, Any]:
        """The packed result, {} where there is none (any more)."""
        return await self._unpack(job) or {}

    async def view(self, job: Job) -> dict[str, Any]:
        return job.view(await self.result(job) if job.ended else {})

    def _of(self, row: tables.Row) -> Job:
        return Job.of(row)

    def _held(self, job: Job) -> Held:
        # A job runs from its claim on: until its first activity writes RUNNING, many could be claimed.
        return Held() if job.ended else Held(jobs=1, running=1 if job.claim else 0)

    def _check_quota(self, held: Held, wanted: Held) -> None:
        most = self._storage.settings.training_job_max_pending_per_user
        if wanted["jobs"] > held["jobs"] and wanted["jobs"] > most:
            raise TooMany(
                f"You have {held['jobs']} trainings that are not done yet, and at most {most} are allowed"
                " (TRAINING_JOB_MAX_PENDING_PER_USER). Wait for one to end, or cancel one."
            )
        most = self._storage.settings.training_max_running_per_user
        if wanted["running"] > held["running"] and wanted["running"] > most:
            raise TooMany(
                f"{held['running']} of your trainings are running, and at most {most} may at once"
                " (TRAINING_MAX_RUNNING_PER_USER). This one stays queued; it starts when one of them has ended."
            )

    def _upload(self, job: Job) -> BlobClient:
        return self._storage.uploads.get_blob_client(job.dataset_path)

    def _given_up(self, job: Job) -> Job:
        return replace(job, status=Status.FAILED, error="Training failed: no dataset was uploaded in time.")
