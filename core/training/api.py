"""Training jobs over HTTP: make one with an upload URL, start it, watch it, cancel it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from core.base import telemetry
from core.base.api import Routes
from core.base.blobs import write_blob
from core.base.clients import Storage, storage
from core.base.clock import newest_first_id, now, timestamp
from core.base.errors import BadRequest, WrongState
from core.base.forms import parse_form
from core.base.http import Request, Response
from core.graphs.compile import compiler
from core.graphs.graph import Graph
from core.graphs.store import GraphStore
from core.jobs.job import Job
from core.jobs.start import DurableOrchestrations
from core.jobs.states import Status
from core.jobs.store import JobStore
from core.keras_worker.limits import network_problem
from core.keras_worker.shared import shared_pool, warm_in_background
from core.training import contract
from core.training.graph_copy import write_graph
from core.training.initial_weights import discard_weights, find_import, take_over
from core.training.parameters import parse_parameters
from core.uploads.arrival import dataset_arrived, dataset_name, start_if_room
from core.uploads.landing import check_header
from core.uploads.sas import UPLOAD_HEADERS, upload_url

routes = Routes()


@routes.post("api/network/graphs/{graph_id}/presign-upload", contract.PRESIGN)
async def presign_upload(request: Request) -> Response:
    clients = storage()
    job = await _create_job(clients, request, request.json_object())
    signed = await upload_url(clients, job.dataset_path)
    body = {
        "job_id": job.id,
        "upload_url": signed.url,
        "headers": UPLOAD_HEADERS,
        "expires_at": timestamp(signed.expires_at),
    }
    return Response.json(body, 201, {"Location": _location(job)})


@routes.post("api/network/graphs/{graph_id}/train", contract.TRAIN, durable=True)
async def train_with_form(request: Request) -> Response:
    clients = storage()
    form = parse_form(request)
    dataset = form.file("file", (".csv",)).content
    job = await _create_job(clients, request, form.fields, dataset)
    await write_blob(clients.uploads, job.dataset_path, dataset, "text/csv")
    # The upload's event leads to the same start; whichever comes first, the job runs once.
    job = await start_if_room(clients, DurableOrchestrations(request.durable), job)
    return Response.json(await JobStore(clients).view(job), 202, {"Location": _location(job)})


@routes.get("api/network/training-jobs", contract.LIST)
async def list_jobs(request: Request) -> Response:
    store = JobStore(storage())
    jobs = await store.list(request.user.key)
    return Response.json(await asyncio.gather(*(store.view(job) for job in jobs)))


@routes.get("api/network/training-jobs/{job_id}", contract.READ)
async def read_job(request: Request) -> Response:
    store = JobStore(storage())
    job = await store.get(request.user.key, request.id("job_id"))
    return Response.json(await store.view(job))


@routes.post("api/network/training-jobs/{job_id}/start", contract.START, durable=True)
async def start_job(request: Request) -> Response:
    clients = storage()
    store = JobStore(clients)
    job = await store.get(request.user.key, request.id("job_id"))
    job = await dataset_arrived(clients, DurableOrchestrations(request.durable), job)
    if job.ended:
        raise WrongState(job.error or f"This training has {job.status.value} already; make a new one to train again.")
    return Response.json(await store.view(job), 202, {"Location": _location(job)})


@routes.post("api/network/training-jobs/{job_id}/cancel", contract.CANCEL)
async def cancel_job(request: Request) -> Response:
    store = JobStore(storage())
    ended_before = False

    def cancelled(job: Job) -> Job | None:
        nonlocal ended_before
        ended_before = job.ended
        if job.ended or job.cancel_requested:
            return None
        # While an activity is at work it ends the job itself, with the results of its last epoch.
        return replace(job, cancel_requested=True) if job.runner else replace(job, status=Status.CANCELLED)

    job = await store.change(request.user.key, request.id("job_id"), cancelled)
    if job.ended:
        # A crash before this leaves a copy of weights that upkeep finds.
        await discard_weights(storage(), job)
    return Response.json(await store.view(job), 200 if ended_before else 202)


async def _create_job(clients: Storage, request: Request, values: dict[str, Any], dataset: bytes | None = None) -> Job:
    """A queued job, once graph, parameters and, where it is there already, the dataset's header are right."""
    graph = await GraphStore(clients).get(request.user.key, request.id("graph_id"))
    params = parse_parameters(values, clients.settings)
    if dataset is not None:
        check_header(dataset, [*params.x_columns, params.y_column])
    asked = params.initial_weights
    weights = await find_import(clients, request.user.key, str(asked)) if asked is not None else None
    created = timestamp(now())
    job_id = newest_first_id()
    job = Job(
        owner=request.user.key,
        id=job_id,
        graph_id=graph.id,
        params=params.model_dump(mode="json"),
        created_at=created,
        updated_at=created,
        dataset_path=dataset_name(request.user.key, job_id),
        threads=shared_pool().options.threads,
        trace=telemetry.traceparent(),
    )
    store = JobStore(clients)
    await store.check_room(job)
    await _check_size(graph, clients.settings.max_parameters)
    # The upload takes a moment; so does importing Keras.
    warm_in_background("tensorflow")
    # A crash before the row is written leaves copies of graph and weights that nothing refers to.
    checked = graph.checked
    if weights is not None:
        checked = await take_over(clients, job, weights, checked)
    await write_graph(clients, job, checked)
    return await store.create(job)


async def _check_size(graph: Graph, most: int) -> None:
    """Raises BadRequest for a network with more than `most` parameters."""
    count = await compiler().parameter_count([*graph.nodes], [*graph.edges])
    if problem := network_problem(count, most):
        raise BadRequest({"nodes": [problem]})


def _location(job: Job) -> str:
    return f"/api/network/training-jobs/{job.id}/"
