"""The time that a whole training may take, with a real child."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from core.base.blobs import write_blob
from core.base.clients import Storage as Clients
from core.base.clients import connect
from core.base.clock import newest_first_id, now, timestamp
from core.graphs.schema import check_graph
from core.jobs.job import Job
from core.jobs.start import Dataset, Startable, start_once
from core.jobs.states import Status
from core.jobs.store import JobStore
from core.keras_worker.pool import ChildPool, PoolOptions
from core.training.flow import _ended_by_user_error as ended_by_user_error  # pyright: ignore[reportPrivateUsage]
from core.training.graph_copy import write_graph
from core.training.parameters import parse_parameters
from core.training.run import Run
from core.uploads.arrival import dataset_name
from core.uploads.landing import inspect
from tests.harness import Storage, classifier, two_class_training, two_classes

HOUR = 3600


class Orchestrations:
    """Starts nothing: the test runs the activities itself."""

    async def start(self, job: Startable) -> None: ...

    async def exists(self, job: Startable) -> bool:
        return True


@pytest.fixture
async def clients(storage: Storage, tmp_path: Path) -> AsyncIterator[Clients]:
    connected = connect(storage.settings().model_copy(update={"work_dir": tmp_path, "max_training_seconds": HOUR}))
    yield connected
    await connected.close()


@pytest.fixture
async def pool() -> AsyncIterator[ChildPool]:
    made = ChildPool(PoolOptions(threads=1))
    yield made
    await made.close()


async def endless_job(clients: Clients) -> Job:
    job_id, at = newest_first_id(), timestamp(now())
    values = two_class_training(epochs=10_000, batch_size=1)
    params = parse_parameters(values, clients.settings).model_dump(mode="json")
    job = Job("owner", job_id, "graph", params, at, at, dataset_path=dataset_name("owner", job_id), threads=1)
    await write_graph(clients, job, check_graph(classifier()["nodes"], classifier()["edges"]))
    await write_blob(clients.uploads, job.dataset_path, two_classes(), "text/csv")
    pinned: Dataset = await inspect(clients, job.dataset_path)
    return await start_once(JobStore(clients), Orchestrations(), await JobStore(clients).create(job), pinned)


async def test_a_training_beyond_its_time_stops_and_fails_with_its_history_so_far(
    clients: Clients, pool: ChildPool
) -> None:
    job, store = await endless_job(clients), JobStore(clients)
    run = Run(clients, pool, "owner", job.id)
    assert (await run.prepare()).outcome == "continue"
    began = timestamp(now() - timedelta(seconds=HOUR - 2))
    await store.change("owner", job.id, lambda it: replace(it, started_at=began))
    # A slice is far longer than the two seconds that are left.
    assert (await run.slice()).outcome == "continue"
    await store.change("owner", job.id, lambda it: replace(it, started_at=timestamp(now() - timedelta(seconds=HOUR))))
    assert (await ended_by_user_error(run, Run.slice)).outcome == "failed"
    ended = await store.get("owner", job.id)
    assert ended.status is Status.FAILED
    assert ended.error.startswith("Training failed: it was not done within the 3,600 seconds")
    assert "MAX_TRAINING_SECONDS" in ended.error
    assert 0 < len((await store.view(ended))["result"]["history"]["loss"]) < 10_000
