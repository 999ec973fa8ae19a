"""The one way an import starts, whichever door it came through: a claim in its row, then its orchestration."""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.base.clock import now, timestamp
from core.importing.job import ImportJob
from core.importing.store import ImportStore
from core.jobs.start import Orchestrations, start_claimed

ORCHESTRATION = "import_model"


@dataclass(frozen=True)
class UploadedModel:
    """The uploaded file as it was when it was looked at; nothing else is ever read for the job."""

    etag: str
    size: int


async def start_once(
    store: ImportStore, orchestrations: Orchestrations, job: ImportJob, upload: UploadedModel
) -> ImportJob:
    """Start the job's orchestration unless somebody has; the job as it stands then. Raises TooMany."""

    def claimed(current: ImportJob, claim: str) -> ImportJob:
        # The first look at the file counts: a later claim never changes what is read.
        pinned = {} if current.upload_etag else {"upload_etag": upload.etag, "upload_size": upload.size}
        return replace(current, claim=claim, claimed_at=timestamp(now()), **pinned)

    return await start_claimed(lambda mutate: store.change(job.owner, job.id, mutate), orchestrations, claimed)
