"""Random orders of what people do to jobs, some at the same time, held against a model of what may come of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from core.jobs.states import ENDED, TRANSITIONS, Status
from tests.harness import Backend, classifier, two_class_training, two_classes, upload, wait_for_end

GOOD, BAD = two_classes(), b"%PDF-1.7 and so on"
QUICK = two_class_training(epochs=1)
LONG = two_class_training(epochs=100_000 // 20, batch_size=1)


@dataclass
class Model:
    """What has been done to a job, and what was last said of it."""

    id: str
    signed: dict[str, Any]
    long: bool
    uploaded: bytes = b""
    # Of these calls the answers were 202 while the job had not ended.
    cancelled: bool = False
    said: dict[str, Any] = field(default_factory=lambda: {"status": "queued", "progress": 0.0})

    @property
    def status(self) -> Status:
        return Status(self.said["status"])

    @property
    def ends(self) -> frozenset[Status]:
        """How the job may end, given all that was done."""
        if self.uploaded == BAD:
            return frozenset({Status.FAILED} | ({Status.CANCELLED} if self.cancelled else set()))
        return frozenset({Status.CANCELLED}) if self.cancelled else frozenset({Status.SUCCEEDED})

    def hear(self, said: dict[str, Any]) -> None:
        now = Status(said["status"])
        reachable = {self.status}
        for _ in range(2):
            reachable |= {following for status in reachable for following in TRANSITIONS[status]}
        assert now in reachable, (self.status, now)
        assert self.status not in ENDED or said == self.said, "an ended job changed"
        assert said["progress"] >= self.said["progress"]
        assert now not in ENDED or now in self.ends, (now, said["error"], self)
        self.said = said


def at_once(*calls: Callable[[], httpx.Response]) -> list[httpx.Response]:
    answers: dict[int, httpx.Response] = {}
    barrier = threading.Barrier(len(calls))

    def run(number: int, call: Callable[[], httpx.Response]) -> None:
        barrier.wait()
        answers[number] = call()

    threads = [threading.Thread(target=run, args=(number, call)) for number, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [answers[number] for number in range(len(calls))]


class Jobs(RuleBasedStateMachine):
    """One person, a few graphs, and jobs in every state."""

    graphs: Bundle[str] = Bundle("graphs")
    jobs: Bundle[Model] = Bundle("jobs")

    def __init__(self, client: httpx.Client) -> None:
        super().__init__()
        self.client = client
        self.known: list[Model] = []

    @rule(target=graphs)
    def draw(self) -> str:
        return self.client.post("/api/network/graphs/", json=classifier()).json()["id"]

    @rule(graph=consumes(graphs))
    def delete_graph(self, graph: str) -> None:
        """Also one whose jobs are running: they have a copy of their own."""
        assert self.client.delete(f"/api/network/graphs/{graph}/").status_code == 204
        assert self._presign(graph, QUICK).status_code == 404

    @rule(target=jobs, graph=graphs, long=st.booleans())
    def presign_twice_at_once(self, graph: str, long: bool) -> Any:
        parameters = LONG if long else QUICK
        answers = at_once(*[lambda: self._presign(graph, parameters)] * 2)
        assert [answer.status_code for answer in answers] == [201, 201]
        models = [Model(answer.json()["job_id"], answer.json(), long) for answer in answers]
        assert models[0].id != models[1].id
        self.known += models
        return multiple(*models)

    @rule(job=jobs, content=st.sampled_from([GOOD, GOOD, BAD]))
    def put(self, job: Model, content: bytes) -> None:
        answer = upload(job.signed, content)
        if answer.status_code == 201:
            # A file that was refused is deleted, and the link could be used again, in vain.
            job.uploaded = job.uploaded or content
        else:
            assert answer.status_code == 403

    @rule(job=jobs)
    def start(self, job: Model) -> None:
        self._hear_start(job, self._post(job, "start"))

    @rule(job=jobs)
    def start_five_times_at_once(self, job: Model) -> None:
        for answer in at_once(*[lambda: self._post(job, "start")] * 5):
            self._hear_start(job, answer)

    @rule(job=jobs)
    def cancel(self, job: Model) -> None:
        self._hear_cancel(job, self._post(job, "cancel"))

    @rule(job=jobs)
    def cancel_while_starting(self, job: Model) -> None:
        cancelled, started = at_once(lambda: self._post(job, "cancel"), lambda: self._post(job, "start"))
        self._hear_cancel(job, cancelled)
        assert started.status_code in (202, 400), started.text

    @rule(job=jobs)
    def wait(self, job: Model) -> None:
        if job.uploaded and (not job.long or job.cancelled):
            job.hear(wait_for_end(self.client, job.id))

    @invariant()
    def all_answers_go_together(self) -> None:
        for job in self.known:
            job.hear(self.client.get(f"/api/network/training-jobs/{job.id}/").json())

    def teardown(self) -> None:
        for job in self.known:
            if job.long or not job.uploaded:
                self.cancel(job)
            said = wait_for_end(self.client, job.id)
            job.hear(said)
            assert Status(said["status"]) in job.ends

    def _presign(self, graph: str, parameters: dict[str, Any]) -> httpx.Response:
        return self.client.post(f"/api/network/graphs/{graph}/presign-upload/", json=parameters)

    def _post(self, job: Model, what: str) -> httpx.Response:
        return self.client.post(f"/api/network/training-jobs/{job.id}/{what}/")

    def _hear_start(self, job: Model, answer: httpx.Response) -> None:
        if answer.status_code == 202:
            assert job.uploaded
            assert answer.json()["id"] == job.id
        else:
            # Ended, before or because of this call, or nothing to train on.
            assert answer.status_code == 400, answer.text
            said = self.client.get(f"/api/network/training-jobs/{job.id}/").json()
            assert not job.uploaded or Status(said["status"]) in ENDED

    def _hear_cancel(self, job: Model, answer: httpx.Response) -> None:
        assert answer.status_code in (200, 202), answer.text
        if answer.status_code == 202:
            job.cancelled = True
        else:
            assert Status(answer.json()["status"]) in ENDED


def run(backend: Backend, **changes: Any) -> None:
    chosen = settings(
        deadline=None,
        stateful_step_count=15,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        database=None,
        **changes,
    )
    # Each run is somebody else's, so that lists and quotas do not grow.
    numbers = iter(range(10**9))

    class JobsOfSomebody(Jobs):
        def __init__(self) -> None:
            super().__init__(backend.client(f"person-{next(numbers)}"))

    run_state_machine_as_test(JobsOfSomebody, settings=chosen)


def test_whatever_is_done_to_jobs_in_whatever_order_their_answers_go_together(shared_backend: Backend) -> None:
    run(shared_backend, max_examples=6, derandomize=True)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_hundred_random_orders(shared_backend: Backend) -> None:
    run(shared_backend, max_examples=100)
