"""What a finished training offers, over HTTP: artifact links and predictions."""

from __future__ import annotations

from core.base.api import Routes
from core.base.clients import storage
from core.base.errors import MalformedBody
from core.base.forms import parse_form
from core.base.http import Request, Response
from core.jobs.store import JobStore
from core.serving import contract
from core.serving.artifacts import artifact_url
from core.serving.predictor import predictor

routes = Routes()


@routes.get("api/network/training-jobs/{job_id}/artifact", contract.ARTIFACT)
async def read_artifact(request: Request) -> Response:
    clients = storage()
    job = await JobStore(clients).get(request.user.key, request.id("job_id"))
    return Response.json({"url": await artifact_url(clients, job, request.query.get("type") or "final")})


@routes.post("api/network/training-jobs/{job_id}/predict", contract.PREDICT)
async def predict_rows(request: Request) -> Response:
    """The rows are read in the child: thousands of numbers would hold up all other requests here."""
    is_table = request.header("content-type").startswith("multipart/")
    content = parse_form(request).file("file", (".csv",)).content if is_table else request.json_bytes()
    answer = await predictor().predict(request.user.key, request.id("job_id"), content, table=is_table)
    if answer is None:
        request.json_object()  # says what is wrong with it
        raise MalformedBody("Send the rows as a JSON object.")
    return Response(body=answer)
