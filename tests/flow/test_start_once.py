"""`start_once` against a real Table Storage: many doors at once, crashes in between, files that change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from core.base.blobs import write_blob
from core.base.clients import Storage as Clients
from core.base.clients import connect
from core.base.clock import newest_first_id, now, timestamp
from core.base.errors import BadRequest, Conflict
from core.jobs import start as starting
from core.jobs.job import Job
from core.jobs.start import Dataset, Startable, start_once
from core.jobs.states import Status
from core.jobs.store import JobStore
from core.training.work import WorkFolder, fetch_dataset
from core.uploads.arrival import dataset_arrived, dataset_name, on_upload
from core.uploads.landing import inspect
from core.uploads.sas import UPLOAD_HEADERS, upload_url
from tests.harness import Storage


class Orchestrations:
    """Counts starts; `broken` dies instead of starting, as a process might between claim and start."""

    def __init__(self, *, broken: bool = False) -> None:
        self.started: list[str] = []
        self._broken = broken

    async def start(self, job: Startable) -> None:
        await asyncio.sleep(0.02)
        if self._broken:
            raise ConnectionError("the process died here")
        self.started.append(job.id)

    async def exists(self, job: Startable) -> bool:
        return job.id in self.started


@pytest.fixture
async def clients(storage: Storage) -> AsyncIterator[Clients]:
    connected = connect(storage.settings())
    yield connected
    await connected.close()


async def queued_job(clients: Clients, *, upload: bytes = b"a,b\n1,2\n") -> Job:
    job_id, at = newest_first_id(), timestamp(now())
    job = Job("owner", job_id, "graph", {}, at, at, dataset_path=dataset_name("owner", job_id))
    if upload:
        await write_blob(clients.uploads, job.dataset_path, upload, "text/csv")
    return await JobStore(clients).create(job)


async def test_fifty_starts_at_once_start_one_orchestration(clients: Clients) -> None:
    job, orchestrations = await queued_job(clients), Orchestrations()
    answers = await asyncio.gather(*(dataset_arrived(clients, orchestrations, job) for _ in range(50)))
    assert orchestrations.started == [job.id]
    assert {answer.dataset_size for answer in answers} == {8}


async def test_second_upload_event_starts_nothing(clients: Clients) -> None:
    job, orchestrations = await queued_job(clients), Orchestrations()
    for _ in range(2):
        await on_upload(clients, orchestrations, "owner", job.id)
    assert orchestrations.started == [job.id]


async def test_a_claim_that_led_nowhere_is_taken_over(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "CLAIM_LIFE", starting.CLAIM_LIFE / 10)
    job = await queued_job(clients)
    with pytest.raises(ConnectionError):
        await dataset_arrived(clients, Orchestrations(broken=True), job)
    orchestrations = Orchestrations()
    await on_upload(clients, orchestrations, "owner", job.id)
    assert orchestrations.started == [job.id]


async def test_a_start_by_another_is_not_repeated_however_long_it_queues(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "CLAIM_LIFE", starting.CLAIM_LIFE * 0)
    job, orchestrations = await queued_job(clients), Orchestrations()
    for _ in range(3):
        await dataset_arrived(clients, orchestrations, job)
    assert orchestrations.started == [job.id]


async def test_the_first_look_at_the_dataset_counts(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "CLAIM_LIFE", starting.CLAIM_LIFE * 0)
    job, store = await queued_job(clients), JobStore(clients)
    first = await start_once(store, Orchestrations(), job, Dataset("first", 1))
    second = await start_once(store, Orchestrations(), job, Dataset("second", 2))
    assert first.dataset_etag == second.dataset_etag == "first"


async def test_a_dataset_that_was_replaced_is_not_trained_on(clients: Clients, tmp_path: object) -> None:
    job = await queued_job(clients)
    pinned = await inspect(clients, job.dataset_path)
    job = replace(job, dataset_etag=pinned.etag, dataset_size=pinned.size)
    await write_blob(clients.uploads, job.dataset_path, b"a,b\n9,9\n", "text/csv")
    with pytest.raises(BadRequest, match="changed or removed"):
        await fetch_dataset(clients, job, WorkFolder(tmp_path, job.id))  # pyright: ignore[reportArgumentType]


async def test_an_append_blob_is_no_dataset(clients: Clients) -> None:
    job = await queued_job(clients, upload=b"")
    signed = await upload_url(clients, job.dataset_path)
    async with httpx.AsyncClient(trust_env=False) as browser:
        answer = await browser.put(signed.url, headers={**UPLOAD_HEADERS, "x-ms-blob-type": "AppendBlob"})
    assert answer.status_code == 201
    failed = await dataset_arrived(clients, Orchestrations(), job)
    assert failed.status is Status.FAILED
    assert "block blob" in failed.error
    assert not await clients.uploads.get_blob_client(job.dataset_path).exists()


async def test_an_upload_for_no_job_or_an_ended_one_is_deleted(clients: Clients) -> None:
    job, store = await queued_job(clients), JobStore(clients)
    await store.change("owner", job.id, lambda current: replace(current, status=Status.CANCELLED))
    await write_blob(clients.uploads, dataset_name("owner", "nobody"), b"a\n1\n", "text/csv")
    for job_id in (job.id, "nobody"):
        await on_upload(clients, Orchestrations(), "owner", job_id)
        assert not await clients.uploads.get_blob_client(dataset_name("owner", job_id)).exists()


async def test_fifty_changes_of_one_job_are_all_made(clients: Clients) -> None:
    job, store = await queued_job(clients), JobStore(clients)

    def counted(current: Job) -> Job:
        return replace(current, dataset_size=current.dataset_size + 1)

    await asyncio.gather(*(store.change("owner", job.id, counted) for _ in range(50)))
    assert (await store.get("owner", job.id)).dataset_size == 50


async def test_an_ended_job_stays_as_it_is(clients: Clients) -> None:
    job, store = await queued_job(clients), JobStore(clients)
    await store.change("owner", job.id, lambda current: replace(current, status=Status.FAILED))
    with pytest.raises(Conflict):
        await store.change("owner", job.id, lambda current: replace(current, status=Status.RUNNING))


async def test_lists_are_newest_first_and_the_owners_alone(clients: Clients) -> None:
    jobs = []
    for _ in range(3):
        jobs.append(await queued_job(clients))
        await asyncio.sleep(0.002)
    store = JobStore(clients)
    assert [job.id for job in await store.list("owner")] == [job.id for job in reversed(jobs)]
    assert await store.list("other") == []
