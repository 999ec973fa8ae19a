"""What a finished training offers, over HTTP: artifact links and predictions."""

from __future__ import annotations

import asyncio

from core.base.api import Routes
from core.base.clients import Storage, storage
from core.base.errors import WrongState
from core.base.forms import parse_form
from core.base.http import Request, Response
from core.jobs.job import Job
from core.jobs.states import Status
from core.jobs.store import JobStore
from core.keras_worker.shared import shared_pool
from core.serving import contract
from core.serving.artifacts import artifact_url
from core.serving.predictor import predict
from core.serving.rows import requested_rows, table_rows

routes = Routes()


@routes.get("api/network/training-jobs/{job_id}/artifact", contract.ARTIFACT)
async def read_artifact(request: Request) -> Response:
    clients = storage()
    job = await _job(clients, request)
    return Response.json({"url": await artifact_url(clients, job, request.query.get("type") or "final")})


@routes.post("api/network/training-jobs/{job_id}/predict", contract.PREDICT)
async def predict_rows(request: Request) -> Response:
    clients = storage()
    job = await _job(clients, request)
    if job.status is not Status.SUCCEEDED:
        raise WrongState(f"This training is {job.status.value}; only one that has succeeded can predict.")
    columns = job.params["x_columns"]
    if request.header("content-type").startswith("multipart/"):
        table = parse_form(request).file("file", (".csv",)).content
        rows = await asyncio.to_thread(table_rows, table, columns)
    else:
        rows = requested_rows(request.json_object(), columns)
    return Response.json(await predict(clients, shared_pool(), job, rows))


async def _job(clients: Storage, request: Request) -> Job:
    return await JobStore(clients).get(request.user.key, request.id("job_id"))
