"""What a finished training offers, over HTTP: artifact links and predictions."""

from __future__ import annotations

from core.base.api import Routes
from core.base.clients import Storage, storage
from core.base.errors import BadRequest, Unavailable
from core.base.http import Request, Response
from core.jobs.job import Job
from core.jobs.states import Status
from core.jobs.store import JobStore
from core.keras_worker.errors import ChildError, Refused
from core.keras_worker.shared import shared_pool
from core.serving.artifacts import artifact_url
from core.serving.models import model_file
from core.serving.rows import requested_rows

routes = Routes()

# One warm child predicts for everybody; it holds the models used last.
_PREDICTOR = "predict"
_PREDICT_SECONDS = 120.0


@routes.get("api/network/training-jobs/{job_id}/artifact")
async def read_artifact(request: Request) -> Response:
    clients = storage()
    job = await _job(clients, request)
    return Response.json({"url": await artifact_url(clients, job, request.query.get("type") or "final")})


@routes.post("api/network/training-jobs/{job_id}/predict")
async def predict(request: Request) -> Response:
    clients = storage()
    job = await _job(clients, request)
    if job.status is not Status.SUCCEEDED:
        raise BadRequest(f"This training is {job.status.value}; only one that has succeeded can predict.")
    rows = requested_rows(request.json_object(), job.params["x_columns"])
    arguments = {"model": str(await model_file(clients, job)), "rows": rows}
    try:
        async with shared_pool().child("tensorflow", key=_PREDICTOR) as child:
            return Response.json(await child.call("predict", arguments, seconds=_PREDICT_SECONDS))
    except Refused as refusal:
        raise BadRequest(refusal.problems) from None
    except ChildError:
        raise Unavailable("The prediction did not come to its end; try again, with fewer rows.") from None


async def _job(clients: Storage, request: Request) -> Job:
    return await JobStore(clients).get(request.user.key, request.id("job_id"))
