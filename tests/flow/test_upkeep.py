"""Upkeep on a real host: the timers as functions, and what they start again through the real durable functions.

Nobody can wait for minutes here. So the rounds of these tests are at another time than the host is, in this
process, with the durable client that the host gives its functions.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import azure.durable_functions as df
import httpx
from azure.durable_functions.models.utils import http_utils

from core.base.clients import connect
from core.base.clock import now
from core.upkeep.round import Rule, run_round
from core.upkeep.rules import CLEAN_UP, START_LOST
from core.upkeep.triggers import DurableFunctions
from core.upkeep.turn import Means
from tests.harness import Backend, presign, two_classes, upload, wait_for_end, wait_until
from tests.unit.importing.corpus import dense, keras_file, sequential

MODEL = keras_file(sequential(dense()))
INSTANCES = "/runtime/webhooks/durabletask/instances/"
Counts = list[Mapping[str, Counter[str]]]


def rounds(backend: Backend, rules: Mapping[str, Rule], at: datetime, times: int = 1) -> Counts:
    """What so many rounds at once have counted."""

    async def run() -> Counts:
        binding = {"taskHubName": "hub", "creationUrls": {}, "managementUrls": {"id": "INSTANCEID"}}
        client = df.DurableOrchestrationClient(json.dumps({**binding, "rpcBaseUrl": f"{backend.url}/durabletask/"}))
        clients = connect(backend.storage.settings())
        try:
            means = Means(clients, DurableFunctions(client), at)
            return await asyncio.gather(*(run_round(rules, means) for _ in range(times)))
        finally:
            await clients.close()
            # The SDK keeps its session for as long as the process lives; this loop ends before.
            await http_utils._close_session()  # pyright: ignore[reportPrivateUsage]

    counts = asyncio.run(run())
    assert not any(count["failed"] or count["rule failed"] for done in counts for count in done.values()), counts
    return counts


def in_minutes(minutes: int) -> datetime:
    return now() + timedelta(minutes=minutes)


def state(backend: Backend, job_id: str) -> str:
    """The state of the job's orchestration; "" where there is none."""
    answer = httpx.get(f"{backend.url}{INSTANCES}{job_id}", trust_env=False)
    return "" if answer.status_code == 404 else answer.json()["runtimeStatus"]


def begun_training(client: httpx.Client) -> str:
    """The id of a training that has done an epoch, and has many before it."""
    signed = presign(client, epochs=100)
    assert upload(signed, two_classes()).status_code == 201
    path = f"/api/network/training-jobs/{signed['job_id']}/"
    wait_until(lambda: client.get(path).json()["progress"] > 0.05, "an epoch")
    return signed["job_id"]


def test_an_upload_whose_event_was_lost_is_started_once_by_the_timer(backend: Callable[..., Backend]) -> None:
    deaf = {f"AzureWebJobs.{name}.Disabled": "true" for name in ("on_dataset_uploaded", "on_model_uploaded")}
    running = backend(**deaf)
    client = running.client()
    training = presign(client)
    importing = client.post("/api/network/import-jobs/presign-upload/", json={"filename": "model.keras"}).json()
    empty = presign(client)
    assert upload(training, two_classes()).status_code == upload(importing, MODEL).status_code == 201
    time.sleep(1.5)  # as long as an event would take
    assert not state(running, training["job_id"]) and not state(running, importing["job_id"])

    counts = rounds(running, START_LOST, in_minutes(10), times=2)
    for kind in ("trainings", "imports"):
        assert any(done[f"lost starts of {kind}"]["started"] for done in counts)
    job = wait_for_end(client, training["job_id"])
    assert job["status"] == "succeeded", job["error"]
    path = f"/api/network/import-jobs/{importing['job_id']}/"
    wait_until(lambda: client.get(path).json()["status"] == "succeeded", "the end of the import")
    assert client.get(f"/api/network/training-jobs/{empty['job_id']}/").json()["status"] == "queued"
    assert not state(running, empty["job_id"])


def test_a_training_whose_orchestration_is_gone_goes_on_and_ends_with_the_same_numbers(
    shared_backend: Backend,
) -> None:
    client = shared_backend.client("grace")
    undisturbed = wait_for_end(client, begun_training(client))["result"]
    job_id = begun_training(client)
    management = f"{shared_backend.url}{INSTANCES}{job_id}"
    assert httpx.post(f"{management}/terminate?reason=test", trust_env=False).status_code == 202
    wait_until(lambda: state(shared_backend, job_id) == "Terminated", "the end of the orchestration")
    assert httpx.delete(management, trust_env=False).json() == {"instancesDeleted": 1}

    def started_again() -> bool:
        # The activity that nobody waits for any more still writes now and then, and whoever writes is left alone.
        [counts] = rounds(shared_backend, START_LOST, in_minutes(10))
        return counts["lost runs of trainings"]["started again"] == 1

    wait_until(started_again, "the training to be started again")
    job = wait_for_end(client, job_id)
    assert job["status"] == "succeeded", job["error"]
    assert job["result"]["history"] == undisturbed["history"]
    assert job["result"]["evaluation"] == undisturbed["evaluation"]


def test_old_histories_are_purged_and_one_that_has_not_ended_is_not(shared_backend: Backend) -> None:
    client = shared_backend.client("grace")
    ended = client.post("/api/network/import-jobs/", files={"file": ("model.keras", MODEL)}).json()["id"]
    wait_until(lambda: state(shared_backend, ended) == "Completed", "the end of the import")
    alive = begun_training(client)
    management = f"{shared_backend.url}{INSTANCES}{alive}"
    # Its activity goes on; what it says is heard once the orchestration is resumed.
    assert httpx.post(f"{management}/suspend?reason=test", trust_env=False).status_code == 202
    wait_until(lambda: state(shared_backend, alive) == "Suspended", "the orchestration to be suspended")
    rules = {"histories": CLEAN_UP["histories"]}

    rounds(shared_backend, rules, now() + timedelta(days=29))
    assert state(shared_backend, ended) == "Completed"
    rounds(shared_backend, rules, now() + timedelta(days=31))
    assert not state(shared_backend, ended) and state(shared_backend, alive) == "Suspended"
    assert httpx.post(f"{management}/resume?reason=test", trust_env=False).status_code == 202
    assert wait_for_end(client, alive)["status"] == "succeeded"


def test_both_timers_run_on_the_host_and_tell_of_every_rule(shared_backend: Backend) -> None:
    for function, rules in (("upkeep_start_lost", START_LOST), ("upkeep_clean_up", CLEAN_UP)):
        answer = httpx.post(f"{shared_backend.url}/admin/functions/{function}", json={}, timeout=60, trust_env=False)
        assert answer.status_code == 202
        told = [line for line in shared_backend.log.splitlines() if "upkeep, " in line]
        for name in rules:
            assert any(f"upkeep, {name}: " in line for line in told), name
        assert not [line for line in told if "failed" in line]
