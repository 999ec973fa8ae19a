"""Imports over HTTP: a model file in a form or through an upload URL becomes a graph."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.base.api import Routes
from core.base.blobs import delete_blob, write_blob
from core.base.clients import Storage, storage
from core.base.clock import newest_first_id, now, timestamp
from core.base.errors import BadRequest, WrongState
from core.base.forms import parse_form
from core.base.http import Request, Response
from core.base.work_folder import work_folder
from core.graphs.api import new_graph
from core.graphs.contract import IMPORT_MODEL
from core.graphs.store import GraphStore
from core.importing import contract
from core.importing.arrival import model_arrived, stored_name, upload_name
from core.importing.graph import made_graph, make_graph
from core.importing.job import ImportJob
from core.importing.reader import file_name, model_reader
from core.importing.start import ORCHESTRATION
from core.importing.states import ImportStatus
from core.importing.store import ImportStore
from core.jobs.start import DurableOrchestrations
from core.uploads.sas import UPLOAD_HEADERS, upload_url

routes = Routes()

_TRUTHY = ("1", "true", "yes", "on")
_LONGEST_NAME = 120
# Drawings that do not fit into their rows are read from blobs, a few at a time.
_READS_AT_ONCE = 8


@routes.post("api/network/graphs/import-model", IMPORT_MODEL)
async def import_model_file(request: Request) -> Response:
    """The graph in a small file, at once: shown, or with `create` stored."""
    form = parse_form(request)
    clients = storage()
    upload = form.file("file", clients.settings.import_extensions)
    async with work_folder(clients.settings.import_folder) as folder:
        file = folder / stored_name(upload.filename)
        await asyncio.to_thread(file.write_bytes, upload.content)
        name = _graph_name(form.fields, "name")
        payload = await model_reader().payload(request.user.key, file, upload.filename, name)
    if not _is_true(form.fields, "create"):
        return Response.json(payload)
    graph = await GraphStore(clients).create(new_graph(request.user.key, payload))
    return Response.json(graph.view(), 201, {"Location": f"/api/network/graphs/{graph.id}/"})


@routes.post("api/network/import-jobs", contract.IMPORT, durable=True)
async def import_form(request: Request) -> Response:
    form = parse_form(request)
    clients = storage()
    upload = form.file("file", clients.settings.import_extensions)
    if not upload.content:
        raise BadRequest({"file": ["The file is empty."]})
    job = await _create_job(clients, request, form.fields, upload.filename, len(upload.content))
    await write_blob(clients.imports, job.upload_path, upload.content, "application/octet-stream")
    # The upload's event leads to the same start; whichever comes first, the file is read once.
    job = await model_arrived(clients, DurableOrchestrations(request.durable, ORCHESTRATION), job)
    return Response.json(await _view(clients, job), 202, {"Location": _location(job)})


@routes.post("api/network/import-jobs/presign-upload", contract.PRESIGN)
async def presign_import(request: Request) -> Response:
    sent = request.json_object()
    clients = storage()
    filename = sent.get("filename")
    extensions = clients.settings.import_extensions
    if not isinstance(filename, str) or not filename.lower().endswith(extensions):
        raise BadRequest({"filename": [f"Give the file's name; it must end in {' or '.join(extensions)}."]})
    job = await _create_job(clients, request, sent, filename, 0)
    signed = await upload_url(clients, job.upload_path, container=clients.imports)
    body = {
        "job_id": job.id,
        "upload_url": signed.url,
        "headers": UPLOAD_HEADERS,
        "expires_at": timestamp(signed.expires_at),
    }
    return Response.json(body, 201, {"Location": _location(job)})


@routes.get("api/network/import-jobs", contract.LIST)
async def list_imports(request: Request) -> Response:
    clients = storage()
    gate = asyncio.Semaphore(_READS_AT_ONCE)

    async def view(job: ImportJob) -> dict[str, Any]:
        async with gate:
            return await _view(clients, job)

    jobs = await ImportStore(clients).list(request.user.key)
    return Response.json(await asyncio.gather(*map(view, jobs)))


@routes.get("api/network/import-jobs/{job_id}", contract.READ)
async def read_import_job(request: Request) -> Response:
    clients = storage()
    job = await ImportStore(clients).get(request.user.key, request.id("job_id"))
    return Response.json(await _view(clients, job))


@routes.post("api/network/import-jobs/{job_id}/start", contract.START, durable=True)
async def start_import(request: Request) -> Response:
    clients = storage()
    job = await ImportStore(clients).get(request.user.key, request.id("job_id"))
    job = await model_arrived(clients, DurableOrchestrations(request.durable, ORCHESTRATION), job)
    if job.ended:
        raise WrongState(job.error or f"This import has {job.status.value} already; make a new one to import again.")
    return Response.json(await _view(clients, job), 202, {"Location": _location(job)})


@routes.post("api/network/import-jobs/{job_id}/cancel", contract.CANCEL)
async def cancel_import(request: Request) -> Response:
    """Ends an import that has not begun; one that has is over in a moment anyway."""
    clients = storage()
    before = ImportStatus.QUEUED

    def cancelled(job: ImportJob) -> ImportJob | None:
        nonlocal before
        before = job.status
        return replace(job, status=ImportStatus.CANCELLED) if before is ImportStatus.QUEUED else None

    job = await ImportStore(clients).change(request.user.key, request.id("job_id"), cancelled)
    if job.status is not ImportStatus.CANCELLED:
        raise WrongState(f"Only an import that is queued can be cancelled; this one is {job.status.value}.")
    # A crash before this leaves the blob of a cancelled job; its event, if there is one, deletes it.
    await delete_blob(clients.imports, job.upload_path)
    return Response.json(await _view(clients, job), 202 if before is ImportStatus.QUEUED else 200)


@routes.post("api/network/import-jobs/{job_id}/create-graph", contract.CREATE_GRAPH)
async def create_import_graph(request: Request) -> Response:
    clients = storage()
    store = ImportStore(clients)
    job = await store.get(request.user.key, request.id("job_id"))
    location = {"Location": f"/api/network/graphs/{job.id}/"}
    if job.files_removed_at:
        # What was read is gone; a graph that was made of it need not be.
        known = await made_graph(clients, job)
        if known is None:
            raise WrongState(f"What was read was removed on {job.files_removed_at[:10]}; import the file again.")
        return Response.json(known.view(), 200, location)
    payload = await store.payload(job)
    if job.status is not ImportStatus.SUCCEEDED or payload is None:
        reason = job.error or f"it is {job.status.value}"
        raise WrongState(f"A graph can be made only of an import that has succeeded: {reason}")
    graph, is_new = await make_graph(clients, job, payload)
    await store.change(job.owner, job.id, lambda it: None if it.graph_id else replace(it, graph_id=graph.id))
    return Response.json(graph.view(), 201 if is_new else 200, location)


async def _create_job(
    clients: Storage, request: Request, values: Mapping[str, Any], filename: str, size: int
) -> ImportJob:
    """A queued job. Raises BadRequest for its options, TooMany where the quota is used up."""
    created = timestamp(now())
    job_id = newest_first_id()
    job = ImportJob(
        owner=request.user.key,
        id=job_id,
        source_name=file_name(filename),
        upload_path=upload_name(request.user.key, job_id, filename),
        created_at=created,
        updated_at=created,
        graph_name=_graph_name(values, "graph_name"),
        auto_create_graph=_is_true(values, "auto_create_graph"),
        upload_size=size,
    )
    return await ImportStore(clients).create(job)


def _graph_name(values: Mapping[str, Any], field: str) -> str:
    """The name that the graph shall have, "" for the model's own. Raises BadRequest."""
    name = values.get(field)
    if name is None:
        return ""
    if not isinstance(name, str) or len(name.strip()) > _LONGEST_NAME:
        raise BadRequest({field: [f"This must be a text of at most {_LONGEST_NAME} characters."]})
    return name.strip()


def _is_true(values: Mapping[str, Any], field: str) -> bool:
    """What a tick box says, as JSON or as a form's text. Raises BadRequest."""
    value = values.get(field)
    if not (value is None or isinstance(value, str | int)):
        raise BadRequest({field: ["Say true or false."]})
    return str(value).strip().lower() in _TRUTHY


async def _view(clients: Storage, job: ImportJob) -> dict[str, Any]:
    graph = await made_graph(clients, job) if job.graph_id else None
    return job.view(await ImportStore(clients).payload(job), graph.view() if graph is not None else None)


def _location(job: ImportJob) -> str:
    return f"/api/network/import-jobs/{job.id}/"
