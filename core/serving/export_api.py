"""Exports over HTTP: asked for here, told of in the job, downloaded as artifacts."""

from __future__ import annotations

from core.base.api import Routes
from core.base.clients import storage
from core.base.errors import BadRequest, WrongState
from core.base.http import Request, Response
from core.jobs.exports import Export, Outcome
from core.jobs.states import Status
from core.jobs.store import JobStore
from core.serving import contract
from core.serving.exports import ExportOrchestrations, export_once
from core.training.results import EXPORTS

routes = Routes()


@routes.post("api/network/training-jobs/{job_id}/export", contract.EXPORT, durable=True)
async def export_model(request: Request) -> Response:
    clients = storage()
    job = await JobStore(clients).get(request.user.key, request.id("job_id"))
    kind = request.json_object().get("format")
    if not isinstance(kind, str) or kind not in EXPORTS:
        raise BadRequest(f"Choose a format: {', '.join(EXPORTS)}.")
    if job.status is not Status.SUCCEEDED:
        raise WrongState(f"This training is {job.status.value}; only one that has succeeded can be exported.")
    if job.files_removed_at:
        raise WrongState(f"The files of this training were removed on {job.files_removed_at[:10]}; train again.")
    export = await export_once(clients, ExportOrchestrations(request.durable), job, kind)
    return Response.json({"detail": f"The export as {kind} {_told(export)}."}, 202)


def _told(export: Export) -> str:
    match export.outcome:
        case Outcome.READY:
            return "is ready"
        case Outcome.FAILED:
            return "has just failed; the job's result.export_errors says why"
        case Outcome.UNDER_WAY:
            return "is under way; the job's result.exports names it once it is ready"
