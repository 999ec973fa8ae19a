"""Batches in Table Storage, and how many of them an owner may have."""

from __future__ import annotations

from dataclasses import replace

from azure.storage.blob.aio import BlobClient

from core.base import tables
from core.base.errors import NotFound, TooMany
from core.jobs.quota import Held
from core.jobs.rows import JobRows
from core.jobs.states import TRANSITIONS, Status
from core.serving.batches.batch import KEY_PREFIX, Batch


class BatchStore(JobRows[Batch]):
    TABLE = "batches"
    KEY_PREFIX = KEY_PREFIX
    NOUN = "batch of predictions"
    TRANSITIONS = TRANSITIONS
    COUNTED = ("jobs",)

    async def of_job(self, owner: str, job_id: str, batch_id: str) -> Batch:
        """Raises NotFound, also for a batch of another training."""
        batch = await self.get(owner, batch_id)
        if batch.job_id != job_id:
            raise NotFound(f"There is no {self.NOUN} with that id.")
        return batch

    async def list_of_job(self, owner: str, job_id: str) -> list[Batch]:
        """The batches of one training, newest first."""
        return [batch for batch in await self.list(owner) if batch.job_id == job_id]

    def _of(self, row: tables.Row) -> Batch:
        return Batch.of(row)

    def _held(self, job: Batch) -> Held:
        return Held() if job.ended else Held(jobs=1)

    def _check_quota(self, held: Held, wanted: Held) -> None:
        most = self._storage.settings.training_job_max_pending_per_user
        if wanted["jobs"] > held["jobs"] and wanted["jobs"] > most:
            raise TooMany(
                f"You have {held['jobs']} batches of predictions that are not done yet, and at most {most} are allowed"
                " (TRAINING_JOB_MAX_PENDING_PER_USER). Wait for one to end, or cancel one."
            )

    def _upload(self, job: Batch) -> BlobClient:
        return self._storage.uploads.get_blob_client(job.upload_path)

    def _given_up(self, job: Batch) -> Batch:
        return replace(job, status=Status.FAILED, error="Prediction failed: no CSV was uploaded in time.")
