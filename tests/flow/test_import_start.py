"""Import rows against a real Table Storage: many doors at once, crashes in between, places in the quota."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError, ServiceResponseError

from core.base import disk
from core.base.blobs import download_file, read_blob, write_blob
from core.base.clients import Storage as Clients
from core.base.clients import connect
from core.base.clock import newest_first_id, now, timestamp
from core.base.errors import AppError, Conflict, NoRoom, TooMany
from core.graphs.store import GraphStore
from core.importing.arrival import model_arrived, on_model, upload_name
from core.importing.job import ImportJob
from core.importing.reader import ModelReader
from core.importing.run import ImportRun
from core.importing.states import ENDED, TRANSITIONS, ImportStatus
from core.importing.store import ImportStore
from core.jobs import start as starting
from core.jobs.quota import Held
from core.jobs.start import Startable
from core.keras_worker.pool import ChildPool, PoolOptions
from tests.harness import Storage
from tests.unit.importing.corpus import dense, keras_file, sequential

MODEL = keras_file(sequential(dense()))


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
async def clients(storage: Storage, tmp_path: Path) -> AsyncIterator[Clients]:
    chosen = storage.settings().model_copy(update={"work_dir": tmp_path})
    connected = connect(chosen)
    yield connected
    await connected.close()


@pytest.fixture
async def reader(clients: Clients) -> AsyncIterator[ModelReader]:
    made = ModelReader(ChildPool(PoolOptions(keep=0)), clients.settings)
    yield made
    await made.pool.close()


def new_job(**changes: Any) -> ImportJob:
    job_id, at = newest_first_id(), timestamp(now())
    job = ImportJob("owner", job_id, "model.keras", upload_name("owner", job_id, "model.keras"), at, at)
    return replace(job, **changes)


async def queued_job(clients: Clients, upload: bytes = MODEL, **changes: Any) -> ImportJob:
    job = new_job(**changes)
    if upload:
        await write_blob(clients.imports, job.upload_path, upload, "application/octet-stream")
    return await ImportStore(clients).create(job)


async def test_fifty_starts_at_once_start_one_import(clients: Clients) -> None:
    job, orchestrations = await queued_job(clients), Orchestrations()
    answers = await asyncio.gather(*(model_arrived(clients, orchestrations, job) for _ in range(50)))
    assert orchestrations.started == [job.id]
    assert {answer.upload_size for answer in answers} == {len(MODEL)}
    assert await ImportStore(clients).held("owner") == Held(jobs=1, bytes=len(MODEL))


async def test_a_claim_of_an_import_that_led_nowhere_is_taken_over(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "CLAIM_LIFE", starting.CLAIM_LIFE / 10)
    job = await queued_job(clients)
    with pytest.raises(ConnectionError):
        await model_arrived(clients, Orchestrations(broken=True), job)
    orchestrations = Orchestrations()
    for _ in range(2):
        await on_model(clients, orchestrations, "owner", job.id, "model.keras")
    assert orchestrations.started == [job.id]


async def test_an_upload_for_no_import_or_an_ended_one_is_deleted(clients: Clients) -> None:
    job, store = await queued_job(clients), ImportStore(clients)
    await store.change("owner", job.id, lambda it: replace(it, status=ImportStatus.CANCELLED))
    await write_blob(clients.imports, upload_name("owner", "nobody", "m.h5"), MODEL, "application/octet-stream")
    for job_id, name in ((job.id, "model.keras"), ("nobody", "model.h5")):
        await on_model(clients, Orchestrations(), "owner", job_id, name)
        with pytest.raises(ResourceNotFoundError):
            await read_blob(clients.imports, f"owner/{job_id}/{name}")


async def test_an_activity_that_runs_twice_at_once_ends_the_import_once(clients: Clients, reader: ModelReader) -> None:
    job = await queued_job(clients, auto_create_graph=True)
    await model_arrived(clients, Orchestrations(), job)
    outcomes = await asyncio.gather(*(ImportRun(clients, reader, "owner", job.id).read() for _ in range(3)))
    assert "succeeded" in outcomes and set(outcomes) <= {"succeeded", "superseded"}
    ended = await ImportStore(clients).get("owner", job.id)
    assert ended.status is ImportStatus.SUCCEEDED, ended.error
    assert await ImportRun(clients, reader, "owner", job.id).read() == "succeeded"
    assert await ImportStore(clients).get("owner", job.id) == ended
    assert [graph.id for graph in await GraphStore(clients).list("owner")] == [job.id]
    assert await ImportStore(clients).held("owner") == Held(jobs=0, bytes=0)
    assert not list((clients.settings.work_dir / "imports").iterdir())


async def test_a_file_that_was_replaced_after_the_start_is_not_read(clients: Clients, reader: ModelReader) -> None:
    job = await queued_job(clients)
    await model_arrived(clients, Orchestrations(), job)
    await write_blob(clients.imports, job.upload_path, MODEL + b" ", "application/octet-stream")
    assert await ImportRun(clients, reader, "owner", job.id).read() == "failed"
    assert "changed or removed" in (await ImportStore(clients).get("owner", job.id)).error


async def test_a_large_drawing_goes_to_a_blob_and_comes_back(clients: Clients) -> None:
    job, store = await queued_job(clients), ImportStore(clients)
    payload = {"nodes": [{"id": f"{random.random()}"} for _ in range(20_000)]}
    columns = await store.pack_payload(job, payload)
    assert columns["document"] == b"" and columns["document_name"].startswith(job.folder)
    assert await store.payload(replace(job, **columns)) == payload


async def test_fifty_creations_at_once_never_pass_the_quota(clients: Clients) -> None:
    store = ImportStore(clients)
    answers = await asyncio.gather(*(store.create(new_job()) for _ in range(50)), return_exceptions=True)
    assert sum(isinstance(answer, ImportJob) for answer in answers) == 3
    assert sum(isinstance(answer, TooMany) for answer in answers) == 47
    assert len(await store.list("owner")) == 3 and await store.held("owner") == Held(jobs=3, bytes=0)


async def test_fifty_creations_at_once_never_pass_the_limit_of_bytes(clients: Clients) -> None:
    limits = {"import_job_pending_storage_limit_mb": 1, "import_job_max_pending_per_user": 50}
    store = ImportStore(replace(clients, settings=clients.settings.model_copy(update=limits)))
    creations = (store.create(new_job(upload_size=300_000)) for _ in range(50))
    answers = await asyncio.gather(*creations, return_exceptions=True)
    assert sum(isinstance(answer, ImportJob) for answer in answers) == 3
    assert await store.held("owner") == Held(jobs=3, bytes=900_000)


async def test_whatever_happens_at_once_the_quota_says_what_the_jobs_say(clients: Clients) -> None:
    chance = random.Random(3)
    store = ImportStore(clients)

    async def life() -> None:
        """One job's way to its end, every other one through two hands."""
        await asyncio.sleep(chance.uniform(0, 0.3))
        try:
            job = await store.create(new_job(upload_size=chance.choice([0, 100])))
        except TooMany:
            return
        await store.change("owner", job.id, lambda it: replace(it, upload_size=500))
        assert (await store.held("owner"))["jobs"] <= 3
        ends = [ImportStatus.CANCELLED, ImportStatus.FAILED]
        await asyncio.gather(
            *(store.change("owner", job.id, lambda it, end=end: replace(it, status=end)) for end in ends),
            return_exceptions=True,
        )

    await asyncio.gather(*(life() for _ in range(60)))
    assert all(job.ended for job in await store.list("owner"))
    assert await store.held("owner") == Held(jobs=0, bytes=0)


async def test_an_answer_that_was_lost_takes_one_place(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ImportStore(clients)
    rows = await store._table()  # pyright: ignore[reportPrivateUsage]
    submit, lost = rows.submit_transaction, [True]

    async def losing(operations: Any) -> Any:
        answer = await submit(operations)
        if lost:
            lost.pop()
            raise ServiceResponseError("the connection broke after the write")
        return answer

    async def table() -> Any:
        return rows

    monkeypatch.setattr(rows, "submit_transaction", losing)
    monkeypatch.setattr(store, "_table", table)
    job = await store.create(new_job())
    assert (await store.get("owner", job.id)).id == job.id
    assert await store.held("owner") == Held(jobs=1, bytes=0)


async def test_an_upload_that_never_came_gives_its_place_back(clients: Clients) -> None:
    store = ImportStore(clients)
    long_ago = timestamp(now() - timedelta(minutes=clients.settings.upload_url_minutes + 20))
    late = await store.create(new_job(created_at=long_ago))
    claimed = await store.create(new_job(created_at=long_ago, claim="somebody"))
    fresh = await store.create(new_job())
    await store.create(new_job())
    states = {job.id: job.status for job in await store.list("owner")}
    assert states[late.id] is ImportStatus.FAILED
    assert states[claimed.id] is states[fresh.id] is ImportStatus.QUEUED
    with pytest.raises(TooMany):
        await store.create(new_job())


def test_a_cancelled_import_was_never_begun_and_nothing_leaves_an_end() -> None:
    assert set(TRANSITIONS) == set(ImportStatus)
    assert [before for before in ImportStatus if ImportStatus.CANCELLED in TRANSITIONS[before]] == [ImportStatus.QUEUED]
    assert {ImportStatus.SUCCEEDED, ImportStatus.FAILED, ImportStatus.CANCELLED} == ENDED


async def test_an_ended_import_stays_as_it_is(clients: Clients) -> None:
    job, store = await queued_job(clients), ImportStore(clients)
    await store.change("owner", job.id, lambda it: replace(it, status=ImportStatus.FAILED))
    with pytest.raises(Conflict):
        await store.change("owner", job.id, lambda it: replace(it, status=ImportStatus.PROCESSING))


async def test_an_empty_or_oversized_file_fails_its_import(clients: Clients) -> None:
    for content, limit, told in [(b"", 10, "empty"), (MODEL, 10, "at most 10")]:
        small = replace(clients, settings=clients.settings.model_copy(update={"max_presigned_upload_size": limit}))
        job = await ImportStore(clients).create(new_job())
        await write_blob(clients.imports, job.upload_path, content, "application/octet-stream")
        failed = await model_arrived(small, Orchestrations(), job)
        assert failed.status is ImportStatus.FAILED and told in failed.error
        with pytest.raises(ResourceNotFoundError):
            await read_blob(clients.imports, job.upload_path)
    with pytest.raises(AppError, match="upload"):
        await model_arrived(clients, Orchestrations(), await queued_job(clients, b""))


async def test_a_model_that_the_disk_cannot_hold_fails_with_a_sentence_before_it_is_fetched(
    clients: Clients, reader: ModelReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await queued_job(clients)
    started = await model_arrived(clients, Orchestrations(), job)
    monkeypatch.setattr(disk, "free_bytes", lambda folder: 1_000_000)
    assert await ImportRun(clients, reader, started.owner, started.id).read() == "failed"
    ended = await ImportStore(clients).get(started.owner, started.id)
    assert ended.error.startswith("Import failed: This file needs about 0.21 GB of temporary disk, of which 0.00 GB")
    assert not list(clients.settings.work_dir.rglob("model*"))


async def test_a_file_that_the_disk_cannot_hold_is_not_downloaded(
    clients: Clients, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await queued_job(clients)
    monkeypatch.setattr(disk, "free_bytes", lambda folder: 1_000_000)
    with pytest.raises(NoRoom, match="of temporary disk"):
        await download_file(clients.imports.get_blob_client(job.upload_path), tmp_path / "file")
    assert list(tmp_path.iterdir()) == []
