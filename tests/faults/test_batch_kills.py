"""Processes killed in the middle of a batch of predictions: no row is lost, none comes twice."""

from __future__ import annotations

import csv
import io
import os
import signal
from collections.abc import Callable
from typing import Any

import httpx
import psutil
import pytest
from azure.storage.blob import ContainerClient

from tests.harness import ENDED, Backend, chain, csv_bytes, presign, two_classes, upload, wait_for_end, wait_until

ROWS = 12_000


@pytest.fixture(scope="module")
def content() -> bytes:
    return csv_bytes(["id", "a", "b"], [[at, at % 7 - 3, at % 11 / 4] for at in range(ROWS)])


def slow_network() -> dict[str, Any]:
    """A network that takes some seconds for so many rows."""
    wide = ("Dense", {"units": 1000, "activation": "relu"})
    return chain(("Input", {"shape": "(2,)"}), wide, wide, ("Dense", {"units": 1, "activation": "sigmoid"}))


def trained(client: httpx.Client) -> str:
    signed = presign(client, slow_network(), epochs=1)
    upload(signed, two_classes())
    job = wait_for_end(client, signed["job_id"])
    assert job["status"] == "succeeded", job["error"]
    return f"/api/network/training-jobs/{job['id']}/"


def state_of(client: httpx.Client, path: str) -> dict[str, Any] | None:
    try:
        answer = client.get(path)
    except httpx.TransportError:
        return None
    return answer.json() if answer.status_code == 200 else None


def in_the_middle(client: httpx.Client, job: str, content: bytes) -> str:
    """The path of a batch of which a part is done."""
    made = client.post(f"{job}batch-predictions/")
    assert upload(made.json(), content).status_code == 201
    path = made.headers["location"]
    wait_until(lambda: 0 < client.get(path).json()["rows"] < ROWS, "a part to be done")
    return path


def kill_child(backend: Backend) -> None:
    below = psutil.Process(backend.pid).children(recursive=True)
    _server, *children = sorted(
        (process for process in below if "core.keras_worker" in " ".join(process.cmdline())),
        key=lambda process: (process.create_time(), process.pid),
    )
    assert children, "no child is at work"
    for child in children:
        os.kill(child.pid, signal.SIGKILL)


def kill_host(backend: Backend) -> None:
    backend.kill()
    backend.start()


def ended(client: httpx.Client, path: str) -> dict[str, Any]:
    def end() -> dict[str, Any] | None:
        found = state_of(client, path)
        return found if found is not None and found["status"] in ENDED else None

    return wait_until(end, "the end of the batch")


def test_a_kill_in_the_middle_of_a_batch_loses_and_doubles_no_row(
    backend: Callable[..., Backend], content: bytes
) -> None:
    running = backend(TRAINING_SLICE_SECONDS="2")
    client = running.client()
    job = trained(client)
    for kill in (kill_child, kill_host):
        path = in_the_middle(client, job, content)
        kill(running)
        done = ended(client, path)
        assert done["status"] == "succeeded", done["error"]
        assert done["rows"] == ROWS
        header, *found = csv.reader(io.StringIO(httpx.get(done["url"], trust_env=False).text))
        assert header == ["id", "a", "b", "prediction", "probability_0", "probability_1"]
        assert [row[:3] for row in found] == list(csv.reader(io.StringIO(content.decode())))[1:]
        # There are 77 different rows, and each has one prediction, wherever it stands.
        chances = {tuple(row[1:3]): float(row[-1]) for row in found}
        assert all(float(row[-1]) == pytest.approx(chances[tuple(row[1:3])], abs=1e-6) for row in found)
        asked = client.post(f"{job}predict/", json={"instances": [[float(a), float(b)] for a, b in chances]}).json()
        assert [p for [p] in asked["predictions"]] == pytest.approx(list(chances.values()), abs=1e-6)


def test_a_running_batch_is_cancelled_and_leaves_nothing(shared_backend: Backend, content: bytes) -> None:
    client = shared_backend.client()
    path = in_the_middle(client, trained(client), content)
    assert client.post(f"{path}cancel/").status_code == 202
    done = ended(client, path)
    assert done["status"] == "cancelled" and done["url"] is None and 0 < done["rows"] < ROWS
    with shared_backend.storage.uploads() as uploads, shared_backend.storage.container("maid-artifacts") as artifacts:
        for container in (uploads, artifacts):
            wait_until(lambda it=container: not named(it, done["batch_id"]), "the batch's files to go")


def named(container: ContainerClient, batch_id: str) -> list[str]:
    return [name for name in container.list_blob_names() if batch_id in name]
