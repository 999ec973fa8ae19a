"""What a user's imports hold while they wait or are read: a row of its own beside the jobs' rows.

It is written in one transaction with the job that takes or gives back, so it always says what the jobs say.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.base.errors import TooMany
from core.base.settings import MIB, Settings
from core.base.tables import Row
from core.importing.job import ImportJob

ROW_KEY = "quota"


@dataclass(frozen=True)
class Held:
    """Jobs that are queued or processing, and the bytes they have uploaded."""

    jobs: int = 0
    bytes: int = 0

    @classmethod
    def by(cls, job: ImportJob | None) -> Held:
        return cls() if job is None or job.ended else cls(1, job.upload_size)

    @classmethod
    def of(cls, row: Row | None) -> Held:
        return cls() if row is None else cls(int(row["jobs"]), int(row["bytes"]))

    def moved(self, before: Held, after: Held) -> Held:
        """This, when one job goes from holding `before` to holding `after`."""
        return Held(self.jobs + after.jobs - before.jobs, self.bytes + after.bytes - before.bytes)

    def row(self, owner: str) -> Row:
        return {"PartitionKey": owner, "RowKey": ROW_KEY, "jobs": self.jobs, "bytes": str(self.bytes)}


def check_quota(now: Held, wanted: Held, settings: Settings) -> None:
    """Raises TooMany if a user who holds `now` may not come to hold `wanted`; giving back is always allowed."""
    most_jobs = settings.import_job_max_pending_per_user
    if wanted.jobs > now.jobs and wanted.jobs > most_jobs:
        raise TooMany(
            f"You have {now.jobs} imports that are not done yet, and at most {most_jobs} are allowed at once"
            " (IMPORT_JOB_MAX_PENDING_PER_USER). Wait for one to end, or cancel one."
        )
    most_mib = settings.import_job_pending_storage_limit_mb
    full = most_mib and (wanted.bytes > now.bytes or wanted.jobs > now.jobs) and now.bytes >= most_mib * MIB
    if full or (most_mib and wanted.bytes > now.bytes and wanted.bytes > most_mib * MIB):
        raise TooMany(
            f"Your imports that are not done yet would have more than {most_mib} MiB uploaded"
            " (IMPORT_JOB_PENDING_STORAGE_LIMIT_MB). Wait for one to end, or cancel one."
        )
