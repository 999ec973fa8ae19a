"""An export that is asked for many times, by many at once, or over the ruins of an earlier one, runs once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.base.blobs import delete_blob, read_blob, write_blob
from core.base.clients import Storage as Clients
from core.base.clients import connect
from core.base.clock import newest_first_id, now, timestamp
from core.jobs import start as starting
from core.jobs.exports import Export, Outcome, parse_id
from core.jobs.job import Job
from core.jobs.start import Startable
from core.jobs.states import Status
from core.jobs.store import JobStore
from core.keras_worker.errors import (
    ChildDied,
    ChildError,
    ChildFailed,
    ChildOutOfMemory,
    ChildTimedOut,
    Refused,
)
from core.serving.export_run import ExportRun
from core.serving.exports import ExportOrchestrations, export_once
from core.training.results import EXPORTS
from tests.harness import Storage

DETAILS = {"bytes": 5, "rows": 64, "difference": 0.0, "tolerance": 0.1}


class Pool:
    """Children that write "model" in the place of a converted file; `ends` are how their first calls end instead."""

    def __init__(self, *ends: ChildError | None) -> None:
        self.calls: list[dict[str, Any]] = []
        self._ends = list(ends)

    @asynccontextmanager
    async def child(self, kind: str, key: str | None = None) -> AsyncIterator[Pool]:
        yield self

    async def call(self, command: str, arguments: dict[str, Any], seconds: float) -> dict[str, Any]:
        assert command == "export" and Path(arguments["model"]).exists() and Path(arguments["sample"]).exists()
        self.calls.append(arguments)
        await asyncio.sleep(0.05)
        end = self._ends.pop(0) if self._ends else None
        if end is not None:
            raise end
        Path(arguments["output"]).write_bytes(b"model")
        return DETAILS


class Orchestrations(ExportOrchestrations):
    """Runs what it starts; `lost` orchestrations end at once and without a word, `broken` ones never start."""

    def __init__(self, clients: Clients, pool: Pool, *, broken: bool = False, lost: bool = False) -> None:
        super().__init__(None)
        self.started: list[str] = []
        self._clients, self._pool, self._broken, self._lost = clients, pool, broken, lost
        self._running: set[asyncio.Task[str]] = set()

    async def start(self, job: Startable) -> None:
        await asyncio.sleep(0.02)
        if self._broken:
            raise ConnectionError("the process died here")
        self.started.append(job.id)
        if not self._lost:
            self._running.add(asyncio.create_task(run(self._clients, self._pool, job.owner, job.id)))

    async def exists(self, job: Startable) -> bool:
        return job.id in self.started and not self._lost

    async def ended(self) -> None:
        await asyncio.gather(*self._running)


async def run(clients: Clients, pool: Any, owner: str, export_id: str) -> str:
    return await ExportRun(clients, pool, owner, export_id).write()


@pytest.fixture
async def clients(storage: Storage, tmp_path: Path) -> AsyncIterator[Clients]:
    connected = connect(storage.settings().model_copy(update={"work_dir": tmp_path}))
    yield connected
    await connected.close()


async def trained_job(clients: Clients, **changes: Any) -> Job:
    job_id, at = newest_first_id(), timestamp(now())
    job = Job("owner", job_id, "graph", {}, at, at, status=Status.SUCCEEDED)
    for file in ("model.keras", "sample.npy"):
        await write_blob(clients.artifacts, f"{job.folder}/{file}", b"bytes", "application/octet-stream")
    return await JobStore(clients).create(replace(job, **changes))


async def fresh(clients: Clients, job: Job) -> Job:
    return await JobStore(clients).get(job.owner, job.id)


async def test_fifty_requests_at_once_export_once(clients: Clients) -> None:
    job, pool = await trained_job(clients), Pool()
    orchestrations = Orchestrations(clients, pool)
    asked = (export_once(clients, orchestrations, job, "tflite") for _ in range(50))
    answers = await asyncio.gather(*asked)
    await orchestrations.ended()
    assert orchestrations.started == [f"{job.id}-tflite-1"] and len(pool.calls) == 1
    assert {answer.attempt for answer in answers} == {1}
    result = (await fresh(clients, job)).view({})["result"]
    assert result["exports"] == ["tflite"] and result["export_errors"] == {}
    assert result["export_details"] == {"tflite": DETAILS}
    assert await read_blob(clients.artifacts, f"{job.folder}/model.tflite") == b"model"


async def test_an_export_that_is_there_is_not_made_again_until_its_file_is_gone(clients: Clients) -> None:
    job, pool = await trained_job(clients), Pool()
    orchestrations = Orchestrations(clients, pool)

    async def ask() -> int:
        await export_once(clients, orchestrations, await fresh(clients, job), "onnx")
        await orchestrations.ended()
        return len(pool.calls)

    assert [await ask(), await ask()] == [1, 1]
    await delete_blob(clients.artifacts, f"{job.folder}/model.onnx")
    assert [await ask(), await ask()] == [2, 2]


async def test_formats_are_exported_beside_each_other(clients: Clients) -> None:
    job, pool = await trained_job(clients), Pool()
    orchestrations = Orchestrations(clients, pool)
    await asyncio.gather(*(export_once(clients, orchestrations, job, kind) for kind in EXPORTS))
    await orchestrations.ended()
    exported = await fresh(clients, job)
    assert exported.view({})["result"]["exports"] == sorted(EXPORTS)
    removed = replace(exported, files_removed_at=exported.updated_at).view({})["result"]
    assert (removed["exports"], removed["export_errors"], removed["export_details"]) == ([], {}, {})
    assert not list((clients.settings.work_dir / "jobs").iterdir())


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        ([Refused("TFLite has no Foo.")], "TFLite has no Foo."),
        ([ChildOutOfMemory("")], "CHILD_MEMORY_MB"),
        ([ChildTimedOut("")], "EXPORT_SECONDS"),
        ([ChildFailed("/a/path: wrong", "Traceback")], "could not be converted"),
        ([ChildDied("")] * 3, "ended unexpectedly several times"),
    ],
)
async def test_a_failure_is_told_in_a_sentence_and_asking_again_tries_again(
    ends: list[ChildError], told: str, clients: Clients
) -> None:
    job, pool = await trained_job(clients), Pool(*ends)
    orchestrations = Orchestrations(clients, pool)
    asked = [export_once(clients, orchestrations, job, "tflite") for _ in range(5)]
    await asyncio.gather(*asked)
    await orchestrations.ended()
    failed = await fresh(clients, job)
    result = failed.view({})["result"]
    assert list(result["export_errors"]) == ["tflite"] and told in result["export_errors"]["tflite"]
    assert result["exports"] == [] and "/" not in result["export_errors"]["tflite"]
    assert len(pool.calls) == len(ends)
    # Those who asked before it had failed do not try again, those who have seen it do.
    assert (await export_once(clients, orchestrations, job, "tflite")).outcome is Outcome.FAILED
    await asyncio.gather(*(export_once(clients, orchestrations, failed, "tflite") for _ in range(5)))
    await orchestrations.ended()
    assert len(pool.calls) == len(ends) + 1
    result = (await fresh(clients, job)).view({})["result"]
    assert (result["exports"], result["export_errors"]) == (["tflite"], {})


async def test_a_child_that_dies_is_followed_by_another(clients: Clients) -> None:
    job, pool = await trained_job(clients), Pool(ChildDied(""), ChildDied(""))
    orchestrations = Orchestrations(clients, pool)
    await export_once(clients, orchestrations, job, "script")
    await orchestrations.ended()
    assert (await fresh(clients, job)).export("script").outcome is Outcome.READY and len(pool.calls) == 3


@pytest.mark.parametrize("end", ["broken", "lost"])
async def test_a_claim_of_an_export_that_led_nowhere_is_taken_over(
    end: str, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "CLAIM_LIFE", starting.CLAIM_LIFE / 10)
    job, pool = await trained_job(clients), Pool()
    first = Orchestrations(clients, pool, **{end: True})
    if end == "broken":
        with pytest.raises(ConnectionError):
            await export_once(clients, first, job, "tflite")
    else:
        await export_once(clients, first, job, "tflite")
    second = Orchestrations(clients, pool)
    await asyncio.gather(*(export_once(clients, second, job, "tflite") for _ in range(5)))
    await second.ended()
    assert second.started == [f"{job.id}-tflite-2"] and len(pool.calls) == 1
    # Should the first one start after all, it finds that it is not wanted any more.
    assert await run(clients, pool, "owner", f"{job.id}-tflite-1") == "superseded"
    assert len(pool.calls) == 1


async def test_a_step_that_runs_twice_at_once_ends_once_and_is_never_left_under_way(clients: Clients) -> None:
    job, pool = await trained_job(clients), Pool()
    await export_once(clients, Orchestrations(clients, pool, lost=True), job, "tflite")
    outcomes = await asyncio.gather(*(run(clients, pool, "owner", f"{job.id}-tflite-1") for _ in range(3)))
    assert sorted(outcomes) == ["continue", "continue", "ready"] or sorted(outcomes) == ["continue", "ready", "ready"]
    calls = len(pool.calls)
    assert await run(clients, pool, "owner", f"{job.id}-tflite-1") == "ready"
    assert len(pool.calls) == calls
    # A step that gives up late leaves what is ready alone.
    idle: Any = Pool()
    assert await ExportRun(clients, idle, "owner", f"{job.id}-tflite-1").fail("late") == "ready"


async def test_a_crash_between_the_upload_and_the_row_announces_nothing_and_is_made_good(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, pool = await trained_job(clients), Pool()
    await export_once(clients, Orchestrations(clients, pool, lost=True), job, "tflite")
    with monkeypatch.context() as patch:

        async def crash(*_: Any, **__: Any) -> str:
            raise ConnectionError("the process died here")

        patch.setattr(ExportRun, "_end", crash)
        with pytest.raises(ConnectionError):
            await run(clients, pool, "owner", f"{job.id}-tflite-1")
    assert (await fresh(clients, job)).view({})["result"]["exports"] == []
    assert await run(clients, pool, "owner", f"{job.id}-tflite-1") == "ready"
    assert (await fresh(clients, job)).view({})["result"]["exports"] == ["tflite"]


async def test_a_training_whose_files_are_gone_says_so(clients: Clients) -> None:
    job, pool = await trained_job(clients), Pool()
    await delete_blob(clients.artifacts, f"{job.folder}/sample.npy")
    orchestrations = Orchestrations(clients, pool)
    await export_once(clients, orchestrations, job, "onnx")
    await orchestrations.ended()
    assert "train again" in (await fresh(clients, job)).export("onnx").error and not pool.calls


async def test_a_disk_that_is_too_small_is_told(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    job, pool = await trained_job(clients), Pool()
    monkeypatch.setattr("core.base.disk.free_bytes", lambda _: 1)
    orchestrations = Orchestrations(clients, pool)
    await export_once(clients, orchestrations, job, "onnx")
    await orchestrations.ended()
    assert "disk" in (await fresh(clients, job)).export("onnx").error and not pool.calls


async def test_rows_from_before_there_were_exports_are_read(clients: Clients) -> None:
    job = await trained_job(clients)
    row = {name: value for name, value in job.row().items() if name != "exports"}
    old = Job.of({**row, "etag": ""})
    assert old.view({})["result"]["exports"] == [] and old.export("tflite") == Export("owner", job.id, "tflite")
    assert Job.of({**old.row(), "etag": ""}) == old


def test_an_export_is_known_by_its_id() -> None:
    for kind in EXPORTS:
        export = Export("owner", newest_first_id(), kind, attempt=12)
        assert parse_id(export.id) == (export.job_id, kind, 12)
