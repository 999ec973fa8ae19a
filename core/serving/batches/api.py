"""Batches over HTTP: make one with an upload URL, start it, watch it, cancel it, fetch its output."""

from __future__ import annotations

from dataclasses import replace

from core.base.api import Routes
from core.base.clients import Storage, storage
from core.base.clock import newest_first_id, now, timestamp
from core.base.errors import WrongState
from core.base.http import Request, Response
from core.jobs.start import DurableOrchestrations
from core.jobs.states import Status
from core.jobs.store import JobStore
from core.keras_worker.shared import warm_in_background
from core.serving.batches import contract
from core.serving.batches.arrival import ORCHESTRATION, rows_arrived
from core.serving.batches.batch import Batch
from core.serving.batches.store import BatchStore
from core.serving.succeeded import check_succeeded
from core.uploads.sas import UPLOAD_HEADERS, download_url, upload_url

routes = Routes()

_PATH = "api/network/training-jobs/{job_id}/batch-predictions"


@routes.post(_PATH, contract.CREATE)
async def create_batch(request: Request) -> Response:
    clients = storage()
    job = await JobStore(clients).get(request.user.key, request.id("job_id"))
    check_succeeded(job)
    created = timestamp(now())
    batch = Batch(job.owner, newest_first_id(), job.id, created, created)
    signed = await upload_url(clients, batch.upload_path)
    # The upload takes a moment; so does importing Keras.
    warm_in_background("tensorflow")
    batch = await BatchStore(clients).create(batch)
    body = {
        "batch_id": batch.id,
        "upload_url": signed.url,
        "headers": UPLOAD_HEADERS,
        "expires_at": timestamp(signed.expires_at),
    }
    return Response.json(body, 201, {"Location": _location(batch)})


@routes.get(_PATH, contract.LIST)
async def list_batches(request: Request) -> Response:
    clients = storage()
    job = await JobStore(clients).get(request.user.key, request.id("job_id"))
    return Response.json([batch.view() for batch in await BatchStore(clients).list_of_job(job.owner, job.id)])


@routes.get(f"{_PATH}/{{batch_id}}", contract.READ)
async def read_batch(request: Request) -> Response:
    clients = storage()
    batch = await _batch(clients, request)
    return Response.json({**batch.view(), "url": await _url(clients, batch)})


@routes.post(f"{_PATH}/{{batch_id}}/start", contract.START, durable=True)
async def start_batch(request: Request) -> Response:
    clients = storage()
    batch = await _batch(clients, request)
    batch = await rows_arrived(clients, DurableOrchestrations(request.durable, ORCHESTRATION), batch)
    if batch.ended:
        raise WrongState(batch.error or f"This batch has {batch.status.value} already; make a new one.")
    return Response.json(batch.view(), 202, {"Location": _location(batch)})


@routes.post(f"{_PATH}/{{batch_id}}/cancel", contract.CANCEL)
async def cancel_batch(request: Request) -> Response:
    clients = storage()
    before = await _batch(clients, request)
    ended_before = False

    def cancelled(batch: Batch) -> Batch | None:
        nonlocal ended_before
        ended_before = batch.ended
        if batch.ended or batch.cancel_requested:
            return None
        # While an activity is at work it ends the batch itself, between two parts of the file.
        return replace(batch, cancel_requested=True) if batch.runner else replace(batch, status=Status.CANCELLED)

    batch = await BatchStore(clients).change(before.owner, before.id, cancelled)
    return Response.json(batch.view(), 200 if ended_before else 202)


async def _batch(clients: Storage, request: Request) -> Batch:
    return await BatchStore(clients).of_job(request.user.key, request.id("job_id"), request.id("batch_id"))


async def _url(clients: Storage, batch: Batch) -> str | None:
    """A link that saves the output; None where there is none (any more)."""
    if batch.status is not Status.SUCCEEDED or batch.files_removed_at:
        return None
    # A link that leads nowhere would show a person an XML error of the storage service.
    if not await clients.artifacts.get_blob_client(batch.output_path).exists():
        return None
    name = f"job_{batch.job_id}_predictions.csv"
    return (await download_url(clients, batch.output_path, name, "text/csv; charset=utf-8")).url


def _location(batch: Batch) -> str:
    return f"/api/network/training-jobs/{batch.job_id}/batch-predictions/{batch.id}/"
