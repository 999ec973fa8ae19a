"""Processes killed in the middle of an export: it ends well, and nothing is announced that is not there."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import httpx
import psutil
import pytest

from tests.harness import Backend, chain, presign, two_classes, upload, wait_for_end, wait_until

JOBS = "/api/network/training-jobs/"


def children(backend: Backend) -> list[psutil.Process]:
    """The Keras children of the host, without the fork server, which is the first of these processes."""
    found = [
        process
        for process in psutil.Process(backend.pid).children(recursive=True)
        if process.status() != psutil.STATUS_ZOMBIE and "--backend tensorflow" in " ".join(process.cmdline())
    ]
    return sorted(found, key=lambda process: (process.create_time(), process.pid))[1:]


def kill_child(backend: Backend) -> None:
    os.kill(children(backend)[-1].pid, signal.SIGKILL)


def kill_host(backend: Backend) -> None:
    backend.kill()
    backend.start()


def result_of(client: httpx.Client, job_id: str) -> dict[str, Any] | None:
    try:
        return client.get(f"{JOBS}{job_id}/").json()["result"]
    except httpx.TransportError:
        return None


def test_a_kill_in_the_middle_of_an_export_only_delays_it(backend: Callable[..., Backend]) -> None:
    running = backend()
    client = running.client()
    # Loops take the converters some seconds.
    graph = chain(
        ("Input", {"shape": "(2,)"}),
        ("Reshape", {"target_shape": "(2, 1)"}),
        ("Bidirectional", {"layer": "LSTM(8, return_sequences=True)"}),
        ("LSTM", {"units": 8}),
        ("Dense", {"units": 1, "activation": "sigmoid"}),
    )
    signed = presign(client, graph, epochs=1)
    upload(signed, two_classes())
    job = wait_for_end(client, signed["job_id"])
    assert job["status"] == "succeeded", job["error"]
    for kind, kill in (("onnx", kill_child), ("tflite", kill_host)):
        wait_until(lambda: not children(running), "the last child to go")
        assert client.post(f"{JOBS}{job['id']}/export/", json={"format": kind}).status_code == 202
        wait_until(lambda: children(running), "a child at work on the export")
        assert kind not in client.get(f"{JOBS}{job['id']}/").json()["result"]["exports"]
        kill(running)

        def ready(kind: str = kind) -> bool:
            result = result_of(client, job["id"])
            assert result is None or result["export_errors"] == {}
            return result is not None and kind in result["exports"]

        wait_until(ready, f"the export as {kind}")
        told = client.get(f"{JOBS}{job['id']}/").json()["result"]["export_details"][kind]
        url = client.get(f"{JOBS}{job['id']}/artifact/", params={"type": kind}).json()["url"]
        assert len(httpx.get(url, trust_env=False).content) == told["bytes"]


pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="looks for the fork server")
