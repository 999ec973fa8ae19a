"""Processes killed in the middle of a training: the job ends well, and as if nothing had happened."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import httpx
import psutil
import pytest

from tests.harness import Backend, presign, two_classes, upload, wait_for_end, wait_until

TRAINING: dict[str, Any] = {"epochs": 300, "batch_size": 1}


@pytest.fixture(scope="module")
def undisturbed(shared_backend: Backend) -> dict[str, list[float]]:
    """The history of the training that nobody disturbs."""
    return history(shared_backend.client())


def history(client: httpx.Client) -> dict[str, list[float]]:
    signed = presign(client, **TRAINING)
    upload(signed, two_classes())
    return wait_for_end(client, signed["job_id"])["result"]["history"]


def fitting(client: httpx.Client) -> str:
    """The id of a job in the middle of its fitting."""
    signed = presign(client, **TRAINING)
    upload(signed, two_classes())
    path = f"/api/network/training-jobs/{signed['job_id']}/"
    wait_until(lambda: client.get(path).json()["result"].get("live"), "the first epoch")
    return signed["job_id"]


def processes(backend: Backend, words: str) -> list[psutil.Process]:
    """Processes below the host whose command line has these words, the youngest last."""
    found = [p for p in psutil.Process(backend.pid).children(recursive=True) if words in " ".join(p.cmdline())]
    return sorted(found, key=lambda process: (process.create_time(), process.pid))


def kill_children(backend: Backend) -> None:
    _server, *children = processes(backend, "core.keras_worker")
    assert children, "no child is at work"
    for child in children:
        os.kill(child.pid, signal.SIGKILL)


def kill_fork_server(backend: Backend) -> None:
    os.kill(processes(backend, "core.keras_worker")[0].pid, signal.SIGKILL)


def kill_worker(backend: Backend) -> None:
    os.kill(processes(backend, "devhost.worker")[0].pid, signal.SIGKILL)


def serving(client: httpx.Client) -> bool:
    try:
        return client.get("/health/").status_code == 200
    except httpx.TransportError:
        return False


def kill_host(backend: Backend) -> None:
    backend.kill()
    backend.start()


@pytest.mark.parametrize("kill", [kill_children, kill_fork_server, kill_worker, kill_host])
def test_a_kill_in_the_middle_of_a_slice_changes_nothing(
    backend: Callable[..., Backend], undisturbed: dict[str, list[float]], kill: Callable[[Backend], Any]
) -> None:
    running = backend()
    client = running.client()
    job_id = fitting(client)
    kill(running)
    # A call that the killed worker was at fails; the canvas would be reloaded.
    wait_until(lambda: serving(client), "the worker to be back")
    job = wait_for_end(client, job_id)
    assert job["status"] == "succeeded", job["error"]
    assert job["result"]["history"] == undisturbed


def test_slices_of_a_second_give_what_one_slice_gives(
    backend: Callable[..., Backend], undisturbed: dict[str, list[float]]
) -> None:
    assert history(backend(TRAINING_SLICE_SECONDS="1").client()) == undisturbed


def test_a_job_cancelled_while_its_host_is_down_is_cancelled_when_it_is_back(
    backend: Callable[..., Backend],
) -> None:
    running = backend()
    client = running.client()
    job_id = fitting(client)
    assert client.post(f"/api/network/training-jobs/{job_id}/cancel/").status_code == 202
    kill_host(running)
    assert wait_for_end(client, job_id)["status"] == "cancelled"


def test_an_upload_while_the_host_is_down_is_trained_when_it_is_back(backend: Callable[..., Backend]) -> None:
    running = backend()
    client = running.client()
    signed = presign(client)
    running.kill()
    assert upload(signed, two_classes()).status_code == 201
    running.start()
    assert wait_for_end(client, signed["job_id"])["status"] == "succeeded"
