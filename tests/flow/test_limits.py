"""Limits over HTTP: what is asked beyond one is refused with its name, before anything is made of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import make_backend
from tests.harness import Backend, Storage, classifier, presign, two_class_training, two_classes, upload, wait_until

LIMITS = {
    "MAX_UPLOAD_SIZE": "50000",
    "MAX_PARAMETERS": "1000",
    "TRAINING_JOB_MAX_PENDING_PER_USER": "3",
    "TRAINING_MAX_RUNNING_PER_USER": "1",
}


@pytest.fixture(scope="module")
def limited(new_storage: Callable[[], Storage], session_folder: Path) -> Iterator[Backend]:
    made = make_backend(new_storage(), session_folder, LIMITS)
    with contextlib.closing(made):
        made.start()
        yield made


def graph_id(client: httpx.Client, graph: dict[str, Any]) -> str:
    return client.post("/api/network/graphs/", json=graph).json()["id"]


def in_pieces(content: bytes) -> Iterator[bytes]:
    """A body without a length: httpx sends an iterator in chunks."""
    for start in range(0, len(content), 1000):
        yield content[start : start + 1000]


def test_a_body_in_chunks_is_read_up_to_the_limit_and_refused_beyond_it(limited: Backend) -> None:
    client = limited.client("chunks")
    json_type = {"Content-Type": "application/json"}
    graph = httpx.Request("POST", "http://unused", json=classifier()).content
    taken = client.post("/api/network/graphs/", content=in_pieces(graph), headers=json_type)
    refused = client.post("/api/network/graphs/", content=in_pieces(graph + b" " * 50_000), headers=json_type)
    assert "content-length" not in taken.request.headers
    assert (taken.status_code, refused.status_code) == (201, 413), refused.text
    assert "MAX_UPLOAD_SIZE" in refused.json()["detail"] and "presign-upload" in refused.json()["detail"]


def test_a_network_that_is_too_large_is_refused_before_a_job_is_made(limited: Backend) -> None:
    client = limited.client("large")
    path = f"/api/network/graphs/{graph_id(client, classifier(units=400))}/presign-upload/"
    answer = client.post(path, json=two_class_training())
    assert answer.status_code == 400
    [problem] = answer.json()["nodes"]
    assert "1,601 parameters" in problem and "MAX_PARAMETERS" in problem
    assert client.get("/api/network/training-jobs/").json() == []


def test_fifty_requests_at_once_never_pass_the_limit_of_pending_trainings(limited: Backend) -> None:
    client = limited.client("many")
    path = f"/api/network/graphs/{graph_id(client, classifier())}/presign-upload/"
    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(lambda _: client.post(path, json=two_class_training()), range(50)))
    assert sorted({answer.status_code for answer in answers}) == [201, 429]
    assert sum(answer.status_code == 201 for answer in answers) == 3
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert "TRAINING_JOB_MAX_PENDING_PER_USER" in refused.json()["detail"] and int(refused.headers["retry-after"]) > 0
    jobs = client.get("/api/network/training-jobs/").json()
    assert len(jobs) == 3
    assert client.post(f"/api/network/training-jobs/{jobs[0]['id']}/cancel/").status_code == 202
    assert client.post(path, json=two_class_training()).status_code == 201


def test_a_start_beyond_the_limit_of_running_trainings_is_a_429_and_leaves_the_job_queued(limited: Backend) -> None:
    client = limited.client("busy")

    def job(signed: dict[str, Any], action: str = "") -> httpx.Response:
        path = f"/api/network/training-jobs/{signed['job_id']}/{action}"
        return client.post(path) if action else client.get(path)

    long = presign(client, epochs=10_000, batch_size=1)
    upload(long, two_classes())
    wait_until(lambda: job(long).json()["status"] == "running", "the first training")
    short = presign(client)
    upload(short, two_classes())
    refused = job(short, "start/")
    assert refused.status_code == 429 and int(refused.headers["retry-after"]) > 0
    assert "TRAINING_MAX_RUNNING_PER_USER" in refused.json()["detail"]
    assert job(short).json()["status"] == "queued"
    form = {**two_class_training(), "x_columns": '["a", "b"]', "metrics": '["accuracy"]'}
    path = f"/api/network/graphs/{graph_id(client, classifier())}/train/"
    by_form = client.post(path, data=form, files={"file": ("table.csv", two_classes())})
    assert (by_form.status_code, by_form.json()["status"]) == (202, "queued"), by_form.text
    assert job(long, "cancel/").status_code == 202
    wait_until(lambda: job(short, "start/").status_code == 202, "room for the second training")
    wait_until(lambda: job(short).json()["status"] == "succeeded", "the second training")
