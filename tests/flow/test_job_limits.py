"""How many trainings a user may have: many requests at once, places given back, jobs that wait for room."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from core.base.blobs import write_blob
from core.base.clients import Storage as Clients
from core.base.clients import connect
from core.base.clock import newest_first_id, now, timestamp
from core.base.errors import AppError, TooMany
from core.jobs.job import Job
from core.jobs.quota import Held
from core.jobs.start import Startable
from core.jobs.states import Status
from core.jobs.store import JobStore
from core.uploads.arrival import dataset_arrived, dataset_name, on_upload, start_if_room
from tests.harness import Storage


class Orchestrations:
    """Counts starts."""

    def __init__(self) -> None:
        self.started: list[str] = []

    async def start(self, job: Startable) -> None:
        self.started.append(job.id)

    async def exists(self, job: Startable) -> bool:
        return job.id in self.started


@pytest.fixture
async def clients(storage: Storage) -> AsyncIterator[Clients]:
    limits = {"training_job_max_pending_per_user": 5, "training_max_running_per_user": 2}
    connected = connect(storage.settings().model_copy(update=limits))
    yield connected
    await connected.close()


def new_job(created_at: str = "", owner: str = "owner") -> Job:
    job_id, at = newest_first_id(), created_at or timestamp(now())
    return Job(owner, job_id, "graph", {}, at, at, dataset_path=dataset_name(owner, job_id))


async def uploaded_job(clients: Clients) -> Job:
    job = await JobStore(clients).create(new_job())
    await write_blob(clients.uploads, job.dataset_path, b"a,b\n1,2\n", "text/csv")
    return job


async def test_fifty_creations_at_once_never_pass_the_limit_of_pending_trainings(clients: Clients) -> None:
    store = JobStore(clients)
    answers = await asyncio.gather(*(store.create(new_job()) for _ in range(50)), return_exceptions=True)
    assert sum(isinstance(answer, Job) for answer in answers) == 5
    refusals = [answer for answer in answers if isinstance(answer, TooMany)]
    assert len(refusals) == 45
    assert "TRAINING_JOB_MAX_PENDING_PER_USER" in refusals[0].detail and refusals[0].headers["Retry-After"]
    assert len(await store.list("owner")) == 5 and await store.held("owner") == Held(jobs=5)
    await store.create(new_job(owner="another"))


async def test_fifty_starts_at_once_never_pass_the_limit_of_running_trainings(clients: Clients) -> None:
    orchestrations = Orchestrations()
    jobs = [await uploaded_job(clients) for _ in range(5)]
    starts = (dataset_arrived(clients, orchestrations, jobs[number % 5]) for number in range(50))
    answers = await asyncio.gather(*starts, return_exceptions=True)
    assert len(orchestrations.started) == 2
    refusals = [answer for answer in answers if isinstance(answer, AppError)]
    assert len(refusals) == 30 and all(isinstance(refusal, TooMany) for refusal in refusals)
    assert "TRAINING_MAX_RUNNING_PER_USER" in refusals[0].detail
    assert [job.status for job in await JobStore(clients).list("owner")] == [Status.QUEUED] * 5
    assert await JobStore(clients).held("owner") == Held(jobs=5, running=2)


async def test_a_training_without_room_stays_queued_and_starts_when_one_has_ended(clients: Clients) -> None:
    store, orchestrations = JobStore(clients), Orchestrations()
    first, _, third = [await uploaded_job(clients) for _ in range(3)]
    for job in await store.list("owner"):
        await on_upload(clients, orchestrations, "owner", job.id)
    waiting = [job for job in await store.list("owner") if not job.claim]
    assert len(orchestrations.started) == 2 and [job.id for job in waiting] == [first.id]
    assert (await start_if_room(clients, orchestrations, waiting[0])).queued
    await store.change("owner", third.id, lambda it: replace(it, status=Status.RUNNING))
    await store.change("owner", third.id, lambda it: replace(it, status=Status.SUCCEEDED))
    assert (await start_if_room(clients, orchestrations, waiting[0])).claim
    assert orchestrations.started[-1] == first.id


async def test_whatever_happens_at_once_the_quota_says_what_the_trainings_say(clients: Clients) -> None:
    chance, store, orchestrations = random.Random(4), JobStore(clients), Orchestrations()

    async def life() -> None:
        """One job's way to its end, the end itself through two hands at once."""
        await asyncio.sleep(chance.uniform(0, 0.3))
        try:
            job = await uploaded_job(clients)
        except TooMany:
            return
        await start_if_room(clients, orchestrations, job)
        held = await store.held("owner")
        assert held["jobs"] <= 5 and held["running"] <= 2
        ends = (Status.CANCELLED, Status.FAILED)
        await asyncio.gather(
            *(store.change("owner", job.id, lambda it, end=end: replace(it, status=end)) for end in ends),
            return_exceptions=True,
        )

    await asyncio.gather(*(life() for _ in range(40)))
    assert all(job.ended for job in await store.list("owner"))
    assert await store.held("owner") == Held()


async def test_a_job_whose_upload_never_came_gives_its_place_back_and_one_that_waits_keeps_it(clients: Clients) -> None:
    store = JobStore(clients)
    long_ago = timestamp(now() - timedelta(minutes=clients.settings.upload_url_minutes + 20))
    late, uploaded = await store.create(new_job(long_ago)), await store.create(new_job(long_ago))
    await write_blob(clients.uploads, uploaded.dataset_path, b"a,b\n1,2\n", "text/csv")
    for _ in range(3):
        await store.create(new_job())
    await store.check_room(new_job())
    states = {job.id: job.status for job in await store.list("owner")}
    assert states[late.id] is Status.FAILED and states[uploaded.id] is Status.QUEUED
    await store.create(new_job())
    with pytest.raises(TooMany):
        await store.check_room(new_job())
