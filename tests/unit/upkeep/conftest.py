"""Rows and blobs as they are left, on an account of their own, and durable functions that say what they are told."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from core.base import tables
from core.base.blobs import write_blob
from core.base.clients import Storage as Clients
from core.base.clients import connect
from core.base.clock import newest_first_id, now, timestamp
from core.importing.arrival import upload_name
from core.importing.job import ImportJob
from core.importing.store import ImportStore
from core.jobs.job import Job
from core.jobs.start import RunState, Startable
from core.jobs.store import JobStore
from core.upkeep.round import Rule, run_round
from core.upkeep.turn import Means
from core.uploads.arrival import dataset_name
from tests.harness import Storage

AnyJob = TypeVar("AnyJob", Job, ImportJob)

OWNER = "0123456789abcdef0123456789abcdef"
CSV = b"a,b\n1,2\n"
DAY = timedelta(days=1)
# Blobs have the emulator's time, which nobody can move. So a test is at this time, and what it made was made
# days before.
LATER = now() + 3 * DAY


@dataclass
class Functions:
    """Durable functions: a state by job id, what was started, and which windows were purged."""

    states: dict[str, RunState] = field(default_factory=dict[str, RunState])
    started: list[str] = field(default_factory=list[str])
    purged: list[tuple[datetime, datetime]] = field(default_factory=list[tuple[datetime, datetime]])

    def runs(self, orchestration: str) -> Functions:
        return self

    async def start(self, job: Startable) -> None:
        assert self.states.get(job.id) is not RunState.ALIVE, "the durable functions refuse this"
        self.states[job.id] = RunState.ALIVE
        self.started.append(job.id)

    async def exists(self, job: Startable) -> bool:
        return await self.state(job) is not RunState.NONE

    async def state(self, job: Startable) -> RunState:
        return self.states.get(job.id, RunState.NONE)

    async def purge(self, created_from: datetime, created_to: datetime) -> int:
        self.purged.append((created_from, created_to))
        return 1


@pytest.fixture
async def clients(storage: Storage, tmp_path: Path) -> AsyncIterator[Clients]:
    connected = connect(storage.settings().model_copy(update={"work_dir": tmp_path}))
    yield connected
    await connected.close()


@pytest.fixture
def functions() -> Functions:
    return Functions()


class World:
    """The storage of one test, with shorthands for what lies in it and for a turn of one rule."""

    def __init__(self, clients: Clients, functions: Functions) -> None:
        self.functions = functions
        self.clients = clients

    def set(self, **settings: Any) -> None:
        """Go on with other settings."""
        self.clients = replace(self.clients, settings=self.clients.settings.model_copy(update=settings))

    @property
    def jobs(self) -> JobStore:
        return JobStore(self.clients)

    @property
    def imports(self) -> ImportStore:
        return ImportStore(self.clients)

    def means(self, at: datetime = LATER, page: int = 1000) -> Means:
        return Means(self.clients, self.functions, at, page)

    async def turn(
        self, rule: Callable[..., Any], *of: Any, at: datetime = LATER, page: int = 1000, seconds: float = 60.0
    ) -> Mapping[str, int]:
        """What one turn of the rule counted. It must not have failed."""
        rules: dict[str, Rule] = {"rule": partial(rule, *of)}
        counts: Counter[str] = (await run_round(rules, self.means(at, page), seconds))["rule"]
        assert not counts["rule failed"] and not counts["failed"], counts
        return counts

    async def training(self, *, age: timedelta = timedelta(), upload: bytes = b"", **changes: Any) -> Job:
        """A row, queued unless told otherwise, made `age` before the test's time."""
        job_id, at = newest_first_id(), timestamp(LATER - age)
        job = Job(OWNER, job_id, "graph", {}, at, at, dataset_path=dataset_name(OWNER, job_id))
        if upload:
            await write_blob(self.clients.uploads, job.dataset_path, upload, "text/csv")
        return await self.jobs.create(replace(job, **changes))

    async def importing(self, *, age: timedelta = timedelta(), upload: bytes = b"", **changes: Any) -> ImportJob:
        job_id, at = newest_first_id(), timestamp(LATER - age)
        name = upload_name(OWNER, job_id, "model.keras")
        job = replace(ImportJob(OWNER, job_id, "model.keras", name, at, at), **changes)
        if upload:
            await write_blob(self.clients.imports, job.upload_path, upload, "application/octet-stream")
        return await self.imports.create(job)

    async def put(self, job: AnyJob) -> AnyJob:
        """Write the row as it is given, with its times."""
        table = JobStore.TABLE if isinstance(job, Job) else ImportStore.TABLE
        row = job.row()
        rows = await tables.table(self.clients.tables, table)
        written = await tables.change(rows, row["PartitionKey"], row["RowKey"], lambda _: row)
        assert written is not None
        return replace(job, etag=written["etag"])

    async def artifacts(self, *names: str) -> None:
        for name in names:
            await write_blob(self.clients.artifacts, name, b"x", "application/octet-stream")

    async def names(self, container: str) -> set[str]:
        """All blobs of `uploads`, `imports`, `artifacts` or `graphs`."""
        return {name async for name in getattr(self.clients, container).list_blob_names()}


@pytest.fixture
def world(clients: Clients, functions: Functions) -> World:
    return World(clients, functions)
