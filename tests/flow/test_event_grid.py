"""Uploads announced by Event Grid, as on Flex Consumption, where nothing polls containers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx

from tests.harness import Backend, presign, two_classes, upload, wait_for_end

WEBHOOK = "/runtime/webhooks/blobs"


def announcement(signed: dict[str, str], etag: str) -> dict[str, object]:
    """The event that Event Grid sends for the upload."""
    return {
        "eventType": "Microsoft.Storage.BlobCreated",
        "data": {"api": "PutBlob", "blobType": "BlockBlob", "url": signed["upload_url"].split("?")[0], "eTag": etag},
    }


async def test_a_training_announced_several_times_by_event_grid_starts_once(backend: Callable[..., Backend]) -> None:
    served = backend(options=("--event-grid-only",), BLOB_TRIGGER_SOURCE="EventGrid")
    client = served.client()
    silent, signed = presign(client), presign(client)
    for job in (silent, signed):
        stored = upload(job, two_classes())
        assert stored.status_code == 201
    event = announcement(signed, stored.headers["etag"])
    async with httpx.AsyncClient(base_url=served.url, trust_env=False) as grid:
        posts = [
            grid.post(WEBHOOK, params={"functionName": "Host.Functions.on_dataset_uploaded"}, json=body)
            for body in ([event], [event], [event, event])
        ]
        assert {answer.status_code for answer in await asyncio.gather(*posts)} == {202}
    job = wait_for_end(client, signed["job_id"])
    assert job["status"] == "succeeded", job["error"]

    instances = client.get("/runtime/webhooks/durabletask/instances/").json()
    assert [instance["instanceId"] for instance in instances] == [signed["job_id"]]
    history = client.get(
        f"/runtime/webhooks/durabletask/instances/{signed['job_id']}", params={"showHistory": "true"}
    ).json()["historyEvents"]
    assert [event.get("FunctionName") for event in history].count("prepare_training") == 1
    # Nobody announced the other upload, and nobody looked.
    assert client.get(f"/api/network/training-jobs/{silent['job_id']}/").json()["status"] == "queued"
