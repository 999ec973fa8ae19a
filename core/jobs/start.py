"""`start_once`: the one way a training starts, whichever door it came through.

The upload event, `POST start` and whoever may come later all lead here, at any time, several at once.
A conditional write decides which of them starts the orchestration; its instance id is the job's id.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from core.base.clock import new_id, now, timestamp
from core.jobs.job import Job
from core.jobs.states import Status
from core.jobs.store import JobStore

ORCHESTRATION = "train"

# Longer than starting an orchestration takes. A claim this old without an orchestration was left by
# a process that died between the two, and is taken over.
CLAIM_LIFE = timedelta(seconds=5)


@dataclass(frozen=True)
class Dataset:
    """The uploaded file as it was when it was looked at; nothing else is ever read for the job."""

    etag: str
    size: int


class Startable(Protocol):
    """A job, whatever its kind: its orchestration gets these two and nothing else."""

    @property
    def owner(self) -> str: ...

    @property
    def id(self) -> str: ...


class Orchestrations(Protocol):
    """What starts a training: the durable client, seen from here."""

    async def start(self, job: Startable) -> None: ...

    async def exists(self, job: Startable) -> bool: ...


class DurableOrchestrations:
    """Orchestrations of that name behind a durable client binding."""

    def __init__(self, client: Any, orchestration: str = ORCHESTRATION) -> None:
        self._client = client
        self._orchestration = orchestration

    async def start(self, job: Startable) -> None:
        await self._client.start_new(
            self._orchestration, instance_id=job.id, client_input={"owner": job.owner, "job": job.id}
        )

    async def exists(self, job: Startable) -> bool:
        status = await self._client.get_status(job.id)
        return status is not None and status.runtime_status is not None


async def start_once(store: JobStore, orchestrations: Orchestrations, job: Job, dataset: Dataset) -> Job:
    """Start the job's orchestration unless somebody has; the job as it stands then.

    A crash after the claim and before the start leaves a queued job with a claim; the next caller,
    at the latest the event's redelivery, takes the claim over and starts.
    """
    claim, abandoned = new_id(), ""
    while True:
        job = await store.change(
            job.owner, job.id, lambda current, old=abandoned: _claimed(current, claim, old, dataset)
        )
        if job.status is not Status.QUEUED:
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


def _claimed(job: Job, claim: str, abandoned: str, dataset: Dataset) -> Job | None:
    if job.status is not Status.QUEUED or job.claim != abandoned:
        return None
    # The first look at the dataset counts: a later claim never changes what the job trains on.
    pinned = {} if job.dataset_etag else {"dataset_etag": dataset.etag, "dataset_size": dataset.size}
    return replace(job, claim=claim, claimed_at=timestamp(now()), **pinned)
