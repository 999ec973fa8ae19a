"""The predictor on real storage with a real child: what is loaded, remembered and given up."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from azure.storage.blob.aio import BlobClient

from core.base.blobs import download_file, write_blob
from core.base.clients import Storage as Clients
from core.base.clients import connect
from core.base.clock import newest_first_id, now, timestamp
from core.base.errors import NotFound, Unavailable, WrongState
from core.jobs.job import Job
from core.jobs.states import Status
from core.jobs.store import JobStore
from core.keras_worker.pool import ChildPool, PoolOptions
from core.serving import models
from core.serving.predictor import Predictor
from tests.harness import Storage
from tests.unit.keras_worker.stored_models import dense, number, stored, weighted

pytestmark = pytest.mark.asyncio(loop_scope="module")

BODY = b'{"instances": [[2]]}'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool(session_folder: Path) -> AsyncIterator[ChildPool]:
    made = ChildPool(PoolOptions())
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="module")
async def clients(storage: Storage, tmp_path: Path) -> AsyncIterator[Clients]:
    settings = storage.settings().model_copy(update={"work_dir": tmp_path / "work", "predict_memory_mb": 1})
    connected = connect(settings)
    yield connected
    await connected.close()


async def succeeded(clients: Clients, folder: Path, weight: float, units: int = 1) -> Job:
    """A training whose model gives its only column times `weight`, so many times."""
    at = timestamp(now())
    job = Job("owner", newest_first_id(), "graph", {"x_columns": ["a"]}, at, at)
    job = replace(job, status=Status.SUCCEEDED, artifact_path=f"{job.folder}/model.keras")
    model = stored(folder / "model.keras", weighted(dense(1, units), weight, 0), [number("a")])
    await write_blob(clients.artifacts, job.artifact_path, model.read_bytes(), "application/zip")
    return await JobStore(clients).create(job)


async def first_prediction(predictor: Predictor, job: Job) -> float:
    answer = await predictor.predict("owner", job.id, BODY, table=False)
    assert answer is not None
    return json.loads(answer)["predictions"][0][0]


async def test_a_model_in_use_is_neither_fetched_nor_loaded_again(
    clients: Clients, pool: ChildPool, tmp_path: Path
) -> None:
    job, predictor = await succeeded(clients, tmp_path, 3), Predictor(clients, pool)
    assert await first_prediction(predictor, job) == 6
    [file] = (tmp_path / "work" / "models").iterdir()
    status = file.stat()
    # What only looks at time and size sees the same file; whoever opened it would fail.
    file.write_bytes(bytes(status.st_size))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    await clients.artifacts.delete_blob(job.artifact_path)
    assert [await first_prediction(predictor, job) for _ in range(3)] == [6, 6, 6]


async def test_a_model_that_many_ask_for_at_once_is_fetched_once(
    clients: Clients, pool: ChildPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[Path] = []

    async def counted(blob: BlobClient, path: Path, **conditions: Any) -> None:
        fetched.append(path)
        await download_file(blob, path, **conditions)

    monkeypatch.setattr(models, "download_file", counted)
    job, predictor = await succeeded(clients, tmp_path, 3), Predictor(clients, pool)
    assert await asyncio.gather(*(first_prediction(predictor, job) for _ in range(5))) == [6] * 5
    assert len(fetched) == 1


async def test_files_of_models_used_long_ago_make_room(clients: Clients, pool: ChildPool, tmp_path: Path) -> None:
    # Each file has about 2.1 MB; on disk there is room for four times PREDICT_MEMORY_MB.
    jobs = [await succeeded(clients, tmp_path, at, units=250_000) for at in (1, 2)]
    predictor = Predictor(clients, pool)
    used: list[float] = []
    for job in (*jobs, jobs[0], await succeeded(clients, tmp_path, 5, units=250_000)):
        used.append(await first_prediction(predictor, job))
    assert used == [2, 4, 2, 10]
    left = {file.stem for file in (tmp_path / "work" / "models").iterdir()}
    assert jobs[0].id in left and jobs[1].id not in left


async def test_only_a_training_of_the_caller_that_has_succeeded_predicts(
    clients: Clients, pool: ChildPool, tmp_path: Path
) -> None:
    job, predictor = await succeeded(clients, tmp_path, 1), Predictor(clients, pool)
    assert await first_prediction(predictor, job) == 2
    with pytest.raises(NotFound):
        await predictor.predict("other", job.id, BODY, table=False)
    queued = await JobStore(clients).create(replace(job, id=newest_first_id(), status=Status.QUEUED))
    for _ in range(2):
        with pytest.raises(WrongState, match="is queued"):
            await predictor.predict("owner", queued.id, BODY, table=False)
    gone = await succeeded(clients, tmp_path, 1)
    await clients.artifacts.delete_blob(gone.artifact_path)
    with pytest.raises(NotFound, match="has been removed"):
        await predictor.predict("owner", gone.id, BODY, table=False)


async def test_a_prediction_whose_child_is_killed_is_told_so_and_the_next_one_works(
    clients: Clients, pool: ChildPool, tmp_path: Path
) -> None:
    job, predictor = await succeeded(clients, tmp_path, 1), Predictor(clients, pool)
    await first_prediction(predictor, job)
    [idle] = pool.state()["idle"]
    # Stopped, it cannot answer before it is killed.
    os.kill(idle["pid"], signal.SIGSTOP)
    asked = asyncio.ensure_future(predictor.predict("owner", job.id, BODY, table=False))
    async with asyncio.timeout(30):
        while not any(busy["pid"] == idle["pid"] for busy in pool.state()["busy"]):
            assert not asked.done()
            await asyncio.sleep(0.01)
    os.kill(idle["pid"], signal.SIGKILL)
    with pytest.raises(Unavailable):
        await asked
    assert await first_prediction(predictor, job) == 2
