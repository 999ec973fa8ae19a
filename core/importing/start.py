"""The one way an import starts, whichever door it came through: a claim in its row, then its orchestration."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime

from core.base.clock import new_id, now, timestamp
from core.importing.job import ImportJob
from core.importing.states import ImportStatus
from core.importing.store import ImportStore
from core.jobs.start import CLAIM_LIFE, Orchestrations

ORCHESTRATION = "import_model"


@dataclass(frozen=True)
class UploadedModel:
    """The uploaded file as it was when it was looked at; nothing else is ever read for the job."""

    etag: str
    size: int


async def start_once(
    store: ImportStore, orchestrations: Orchestrations, job: ImportJob, upload: UploadedModel
) -> ImportJob:
    """Start the job's orchestration unless somebody has; the job as it stands then. Raises TooMany.

    A crash after the claim and before the start leaves a queued job with a claim; the next caller, at the
    latest the event's redelivery, takes the claim over and starts.
    """
    claim, abandoned = new_id(), ""
    while True:
        job = await store.change(
            job.owner, job.id, lambda current, old=abandoned: _claimed(current, claim, old, upload)
        )
        if job.status is not ImportStatus.QUEUED:
            return job
        if job.claim == claim:
            await orchestrations.start(job)
            return job
        if await orchestrations.exists(job):
            return job
        if now() - datetime.fromisoformat(job.claimed_at) > CLAIM_LIFE:
            abandoned = job.claim
        else:
            await asyncio.sleep(0.2)


def _claimed(job: ImportJob, claim: str, abandoned: str, upload: UploadedModel) -> ImportJob | None:
    if job.status is not ImportStatus.QUEUED or job.claim != abandoned:
        return None
    # The first look at the file counts: a later claim never changes what is read.
    pinned = {} if job.upload_etag else {"upload_etag": upload.etag, "upload_size": upload.size}
    return replace(job, claim=claim, claimed_at=timestamp(now()), **pinned)
