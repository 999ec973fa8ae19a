"""Trainings that have succeeded: what a prediction has to know of one never changes any more."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import replace

from core.base.clients import Storage
from core.base.errors import WrongState
from core.jobs.job import Job
from core.jobs.states import Status
from core.jobs.store import JobStore

# That the files of a job are removed, which happens after weeks, may be noticed so much later.
_SECONDS = 60.0
_MOST = 1024


class SucceededJobs:
    """Reads jobs, and remembers for a minute those that have succeeded."""

    def __init__(self, storage: Storage) -> None:
        self._store = JobStore(storage)
        self._known: OrderedDict[tuple[str, str], tuple[float, Job]] = OrderedDict()

    async def get(self, owner: str, job_id: str) -> Job:
        """Raises NotFound, also for another owner's job, and WrongState unless it has succeeded."""
        read_at, job = self._known.get((owner, job_id), (0.0, None))
        if job is not None and time.monotonic() - read_at < _SECONDS:
            return job
        job = await self._store.get(owner, job_id)
        check_succeeded(job)
        # Its result, by far the largest part of it, is nothing to predictions.
        self._known[owner, job_id] = time.monotonic(), replace(job, document=b"")
        self._known.move_to_end((owner, job_id))
        while len(self._known) > _MOST:
            self._known.popitem(last=False)
        return job


def check_succeeded(job: Job) -> None:
    """Raises WrongState unless the training has succeeded."""
    if job.status is not Status.SUCCEEDED:
        raise WrongState(f"This training is {job.status.value}; only one that has succeeded can predict.")
