"""Storage that fails while jobs are made, started and run: every job ends well, and nothing that was said was wrong."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from core.jobs.states import TRANSITIONS, Status
from tests.faults.faulty_storage import BROKEN, Faults, FaultyStorage
from tests.harness import ENDED, Backend, Storage, classifier, two_class_training, two_classes, wait_for_end

TRAINING = two_class_training(epochs=20, batch_size=4, save_best_model=True)


@pytest.fixture
def faulty(new_storage: Callable[[], Storage]) -> Iterator[FaultyStorage]:
    proxy = FaultyStorage(new_storage(), Faults(seed=1))
    yield proxy
    proxy.close()


class Watched:
    """A job and everything that was said of it; raises as soon as two answers do not go together."""

    def __init__(self, job_id: str) -> None:
        self.id = job_id
        self._last: dict[str, Any] = {"status": "queued", "progress": 0.0}

    @property
    def ended(self) -> bool:
        return self._last["status"] in ENDED

    def look(self, client: httpx.Client) -> None:
        try:
            answer = client.get(f"/api/network/training-jobs/{self.id}/")
        except httpx.TransportError:
            return
        assert answer.status_code in (200, 503), answer.text
        if answer.status_code == 503:
            return
        before, now = self._last, answer.json()
        if before["status"] != now["status"]:
            # Between two looks a job may have been running as well.
            reachable = {Status(before["status"])}
            for _ in range(2):
                reachable |= {following for status in reachable for following in TRANSITIONS[status]}
            assert Status(now["status"]) in reachable, (before["status"], now["status"])
        assert not self.ended or now == before, "an ended job changed"
        assert now["progress"] >= before["progress"]
        self._last = now


def insist(call: Callable[[], httpx.Response], until: Callable[[httpx.Response], bool]) -> httpx.Response:
    """What a patient client does: the same call again until it is answered well."""
    for _ in range(60):
        try:
            answer = call()
            # The proxy's own 500 is an answer to an upload, which goes past the app.
            assert answer.status_code != 500 or answer.text == BROKEN, answer.text
            if until(answer):
                return answer
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError("never answered")


def submit(client: httpx.Client, graph_id: str, content: bytes, *, start: bool) -> str:
    path = f"/api/network/graphs/{graph_id}/presign-upload/"
    signed = insist(lambda: client.post(path, json=TRAINING), lambda answer: answer.status_code == 201).json()
    headers = {**signed["headers"], "Content-Type": "text/csv"}
    with httpx.Client(trust_env=False, timeout=10) as browser:
        # A link takes one upload: after a lost answer the file is there, and a second PUT is refused.
        put = lambda: browser.put(signed["upload_url"], content=content, headers=headers)  # noqa: E731
        insist(put, lambda answer: answer.status_code in (201, 403))
    if start:
        begin = lambda: client.post(f"/api/network/training-jobs/{signed['job_id']}/start/")  # noqa: E731
        insist(begin, lambda answer: answer.status_code == 202 or "succeeded already" in answer.text)
    return signed["job_id"]


def run_under_faults(
    running: Backend, faulty: FaultyStorage, *, seconds: float, most_jobs: int
) -> list[dict[str, Any]]:
    """Make and watch jobs while storage fails, then let all of them end; the jobs as they ended."""
    client, content = running.client(), two_classes()
    graph_id = client.post("/api/network/graphs/", json=classifier()).json()["id"]
    chance, watched = random.Random(2), list[Watched]()
    faulty.faults.share = 0.3
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if len(watched) < most_jobs:
            watched.append(Watched(submit(client, graph_id, content, start=chance.random() < 0.5)))
        for job in watched:
            job.look(client)
        time.sleep(0.1)
    faulty.faults.share = 0.0
    for job in watched:
        wait_for_end(client, job.id)
        job.look(client)
    listed = {job["id"]: job for job in client.get("/api/network/training-jobs/").json()}
    return [listed[job.id] for job in watched]


def check_end(running: Backend, ended: list[dict[str, Any]]) -> None:
    """All succeeded with the same history, which no disturbance may change, and can be downloaded."""
    client = running.client()
    for job in ended:
        assert job["status"] == "succeeded", job["error"]
        assert job["result"]["history"] == ended[0]["result"]["history"]
        assert len(job["result"]["history"]["loss"]) == TRAINING["epochs"]
        link = client.get(f"/api/network/training-jobs/{job['id']}/artifact/").json()["url"]
        assert httpx.get(link, trust_env=False).content.startswith(b"PK")


def test_jobs_end_well_while_a_third_of_all_storage_calls_fail(
    backend: Callable[..., Backend], faulty: FaultyStorage
) -> None:
    running = backend(storage=faulty.storage)
    ended = run_under_faults(running, faulty, seconds=8, most_jobs=4)
    assert len(ended) == 4
    check_end(running, ended)
    broken = sum(faulty.faults.seen.values()) - faulty.faults.seen["none"]
    assert broken > 20, faulty.faults.seen


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_jobs_end_well_through_a_minute_of_faults(backend: Callable[..., Backend], faulty: FaultyStorage) -> None:
    running = backend(storage=faulty.storage)
    ended = run_under_faults(running, faulty, seconds=60, most_jobs=25)
    check_end(running, ended)
    print(f"{len(ended)} jobs, calls: {dict(faulty.faults.seen)}")
