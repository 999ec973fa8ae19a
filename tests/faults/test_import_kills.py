"""Processes killed in the middle of an import: it ends well, once, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import httpx
import psutil
import pytest

from core.base.settings import Settings
from tests.harness import ENDED, Backend, upload, wait_until
from tests.unit.importing.corpus import hdf5

JOBS = "/api/network/import-jobs/"


@pytest.fixture(scope="module")
def slow_model() -> bytes:
    """A model whose file takes a second or two to look through: it has very many empty groups."""

    def fill(file: h5py.File) -> None:
        for number in range(300):
            group = file.create_group(f"g{number}")
            for inner in range(120):
                group.create_group(f"g{inner}")

    return hdf5(fill)


def readers(backend: Backend) -> list[psutil.Process]:
    """The fork server for model files, then its children, the youngest last."""
    found = [
        process
        for process in psutil.Process(backend.pid).children(recursive=True)
        if process.status() != psutil.STATUS_ZOMBIE and "--backend none" in " ".join(process.cmdline())
    ]
    return sorted(found, key=lambda process: (process.create_time(), process.pid))


def kill_child(backend: Backend) -> None:
    os.kill(readers(backend)[-1].pid, signal.SIGKILL)


def kill_child_and_fork_server(backend: Backend) -> None:
    server, *children = readers(backend)
    for process in (*children, server):
        os.kill(process.pid, signal.SIGKILL)


def kill_host(backend: Backend) -> None:
    backend.kill()
    backend.start()


def job_of(client: httpx.Client, job_id: str) -> dict[str, Any] | None:
    try:
        return client.get(f"{JOBS}{job_id}/").json()
    except httpx.TransportError:
        return None


def in_the_middle(backend: Backend, client: httpx.Client, content: bytes) -> str:
    """The id of an import whose file a child is reading."""
    made = client.post(f"{JOBS}presign-upload/", json={"filename": "slow.h5", "auto_create_graph": True}).json()
    assert upload(made, content).status_code == 201
    wait_until(lambda: len(readers(backend)) > 1, "a child to read the file")
    return made["job_id"]


@pytest.mark.parametrize("kill", [kill_child, kill_child_and_fork_server, kill_host])
def test_a_kill_in_the_middle_of_an_import_loses_and_doubles_nothing(
    backend: Callable[..., Backend], slow_model: bytes, kill: Callable[[Backend], None], tmp_path: Path
) -> None:
    running = backend(WORK_DIR=str(tmp_path))
    client = running.client()
    job_id = in_the_middle(running, client, slow_model)
    killed = job_of(client, job_id)
    assert killed is not None and killed["status"] == "processing"
    kill(running)

    def end() -> dict[str, Any] | None:
        job = job_of(client, job_id)
        return job if job is not None and job["status"] in ENDED else None

    job = wait_until(end, "the end of the import")
    assert job["status"] == "succeeded", job["error"]
    assert len(job["graph_payload"]["nodes"]) == 2
    assert [graph["id"] for graph in client.get("/api/network/graphs/").json()] == [job["graph"]["id"]]
    # Its place in the quota is free again: three more fit.
    places = [client.post(f"{JOBS}presign-upload/", json={"filename": "m.h5"}).status_code for _ in range(4)]
    assert places == [201, 201, 201, 429]
    with running.storage.container(Settings().imports_container) as container:
        wait_until(lambda: not list(container.list_blob_names()), "the upload to go")
    left = [*(tmp_path / "imports").iterdir()]
    assert len(left) <= (1 if kill is kill_host else 0), left
