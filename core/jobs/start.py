"""`start_once`: the one way a training starts, whichever door it came through.

The upload event, `POST start` and whoever may come later all lead here, at any time, several at once.
A conditional write decides which of them starts the orchestration; its instance id is the job's id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from core.base.clock import new_id, now, timestamp
from core.jobs.job import Job
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


class Claimable(Startable, Protocol):
    """A job that is started by whoever claims it first."""

    @property
    def queued(self) -> bool: ...

    @property
    def claim(self) -> str: ...

    @property
    def claimed_at(self) -> str: ...


AnyJob = TypeVar("AnyJob", bound=Claimable)


class Orchestrations(Protocol):
    """What starts a training: the durable client, seen from here."""

    async def start(self, job: Startable) -> None: ...

    async def exists(self, job: Startable) -> bool: ...


class RunState(StrEnum):
    """What is known of a job's orchestration."""

    NONE = "none"  # never started, or its history is gone
    ALIVE = "alive"  # it waits, runs or is suspended
    ENDED = "ended"  # it came to its end, or broke
    TERMINATED = "terminated"  # a person ended it


# What is not named here is alive.
_RUN_STATES = {
    "Completed": RunState.ENDED,
    "Failed": RunState.ENDED,
    "Terminated": RunState.TERMINATED,
    "Canceled": RunState.TERMINATED,
}


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
        return await self.state(job) is not RunState.NONE

    async def state(self, job: Startable) -> RunState:
        status = await self._client.get_status(job.id)
        if status is None or status.runtime_status is None:
            return RunState.NONE
        return _RUN_STATES.get(status.runtime_status.name, RunState.ALIVE)


async def start_once(store: JobStore, orchestrations: Orchestrations, job: Job, dataset: Dataset) -> Job:
    """Start the job's orchestration unless somebody has; the job as it stands then."""

    def claimed(current: Job, claim: str) -> Job:
        # The first look at the dataset counts: a later claim never changes what the job trains on.
        pinned = {} if current.dataset_etag else {"dataset_etag": dataset.etag, "dataset_size": dataset.size}
        return replace(current, claim=claim, claimed_at=timestamp(now()), **pinned)

    return await start_claimed(lambda mutate: store.change(job.owner, job.id, mutate), orchestrations, claimed)


async def start_claimed(
    change: Callable[[Callable[[AnyJob], AnyJob | None]], Awaitable[AnyJob]],
    orchestrations: Orchestrations,
    claimed: Callable[[AnyJob, str], AnyJob],
) -> AnyJob:
    """Claim a queued job by a conditional write, and start its orchestration if the claim is ours.

    `change` writes the job's row as `JobStore.change` does; `claimed` is the job with a claim in it. A
    crash after the claim and before the start leaves a queued job with a claim; the next caller, at the
    latest the event's redelivery, takes the claim over and starts.
    """
    claim, abandoned = new_id(), ""
    while True:

        def claim_if_free(current: AnyJob, old: str = abandoned) -> AnyJob | None:
            return claimed(current, claim) if current.queued and current.claim == old else None

        job = await change(claim_if_free)
        if not job.queued:
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
