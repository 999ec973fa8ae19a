"""However often a training is started and its upload announced, child processes prepare, train and finish it once."""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable

import httpx
import pytest

from tests.harness import Backend, bearer, presign, two_classes, upload, wait_for_end

WEBHOOK = "/runtime/webhooks/blobs"
WORK = re.compile(r"job (\S+): child process \d+ begins to (\w+)")
JOBS_OF_ONE = 5


async def check_exactly_once(backend: Callable[..., Backend], *, jobs: int) -> None:
    """Every job announced five times, and `start` called 200 times on the first and twice on each other, all mixed."""
    served = backend(options=("--event-grid-only",), BLOB_TRIGGER_SOURCE="EventGrid")
    chance = random.Random(jobs)
    people = [f"person-{number}" for number in range((jobs + JOBS_OF_ONE - 1) // JOBS_OF_ONE)]
    owners: dict[str, str] = {}
    async with httpx.AsyncClient(
        base_url=served.url, trust_env=False, timeout=120, limits=httpx.Limits(max_connections=200)
    ) as http:
        calls: list[Callable[[], Awaitable[int]]] = []
        for number in range(jobs):
            person = people[number // JOBS_OF_ONE]
            signed = presign(served.client(person), epochs=1)
            etag = upload(signed, two_classes()).headers["etag"]
            owners[signed["job_id"]] = person
            begin, announce = start_call(http, signed["job_id"], person), event_call(http, signed["upload_url"], etag)
            calls += [begin] * (200 if number == 0 else 2) + [announce] * 5
        chance.shuffle(calls)
        answers = Counter(await asyncio.gather(*(call() for call in calls)))
    # A start that comes after the end is told that it has ended.
    assert set(answers) <= {202, 400}, answers
    for job_id, person in owners.items():
        # The first may be the last to be trained.
        job = wait_for_end(served.client(person), job_id, seconds=150 + 10 * jobs)
        assert job["status"] == "succeeded", job["error"]
    work = Counter(WORK.findall(served.log))
    assert work == {(job_id, command): 1 for job_id in owners for command in ("prepare", "train", "finish")}


def start_call(http: httpx.AsyncClient, job_id: str, person: str) -> Callable[[], Awaitable[int]]:
    headers = {"Authorization": f"Bearer {bearer(person)}"}

    async def call() -> int:
        return (await http.post(f"/api/network/training-jobs/{job_id}/start/", headers=headers)).status_code

    return call


def event_call(http: httpx.AsyncClient, upload_url: str, etag: str) -> Callable[[], Awaitable[int]]:
    """Announces the upload as Event Grid does."""
    data = {"api": "PutBlob", "blobType": "BlockBlob", "url": upload_url.split("?")[0], "eTag": etag}
    event = [{"eventType": "Microsoft.Storage.BlobCreated", "data": data}]

    async def call() -> int:
        params = {"functionName": "Host.Functions.on_dataset_uploaded"}
        return (await http.post(WEBHOOK, params=params, json=event)).status_code

    return call


async def test_two_hundred_starts_and_repeated_events_train_each_job_once(
    backend: Callable[..., Backend],
) -> None:
    await check_exactly_once(backend, jobs=4)


@pytest.mark.soak
@pytest.mark.timeout(1800)
async def test_a_hundred_jobs_with_repeated_events_train_once_each(backend: Callable[..., Backend]) -> None:
    await check_exactly_once(backend, jobs=100)
