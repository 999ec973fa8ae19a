"""Graphs over HTTP: create, read, change, delete."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from core.base.api import Routes
from core.base.clients import storage
from core.base.clock import new_id, now, timestamp
from core.base.errors import BadRequest
from core.base.http import Request, Response
from core.base.json_body import check_depth
from core.graphs import contract
from core.graphs.body import read_graph_body
from core.graphs.compile import compiler
from core.graphs.graph import Graph
from core.graphs.keras_json import import_model
from core.graphs.naming import slug
from core.graphs.script import file_name, write_script
from core.graphs.snapshot_store import SnapshotStore
from core.graphs.store import GraphStore

routes = Routes()


@routes.get("api/network/graphs", contract.LIST)
async def list_graphs(request: Request) -> Response:
    """Also a sign that somebody opened the canvas, and will soon compile."""
    compiler().prepare()
    graphs = await GraphStore(storage()).list(request.user.key)
    return Response.json([graph.view() for graph in graphs])


@routes.post("api/network/graphs", contract.CREATE)
async def create_graph(request: Request) -> Response:
    graph = new_graph(request.user.key, read_graph_body(request))
    await GraphStore(storage()).create(graph)
    return Response.json(graph.view(), 201, {"Location": f"/api/network/graphs/{graph.id}/"})


@routes.get("api/network/graphs/{graph_id}", contract.READ)
async def read_graph(request: Request) -> Response:
    graph, etag = await GraphStore(storage()).get_with_etag(request.user.key, request.id("graph_id"))
    return Response.json(graph.view(), headers={"ETag": etag})


@routes.put("api/network/graphs/{graph_id}", contract.REPLACE)
async def replace_graph(request: Request) -> Response:
    return await _change(request, whole=True)


@routes.patch("api/network/graphs/{graph_id}", contract.CHANGE)
async def patch_graph(request: Request) -> Response:
    return await _change(request, whole=False)


@routes.delete("api/network/graphs/{graph_id}", contract.DELETE)
async def delete_graph(request: Request) -> Response:
    """The graph, then its snapshots; a crash in between leaves snapshots that only lists show."""
    owner, graph_id = request.user.key, request.id("graph_id")
    await GraphStore(storage()).delete(owner, graph_id)
    await SnapshotStore(storage()).delete_of_graph(owner, graph_id)
    return Response.empty()


@routes.post("api/network/graphs/compile", contract.COMPILE_DRAWING)
async def compile_drawing(request: Request) -> Response:
    def read() -> tuple[Any, Any]:
        drawing = read_graph_body(request)
        return drawing.get("nodes"), drawing.get("edges")

    return Response.json(await compiler().compile_request(request.body, read))


@routes.get("api/network/graphs/{graph_id}/compile", contract.COMPILE)
async def compile_graph(request: Request) -> Response:
    graph = await GraphStore(storage()).get(request.user.key, request.id("graph_id"))
    return Response.json(await compiler().compile([*graph.nodes], [*graph.edges]))


@routes.post("api/network/graphs/export-script", contract.EXPORT_DRAWING)
async def export_drawing(request: Request) -> Response:
    sent = read_graph_body(request)
    name = sent.get("name")
    if not (name is None or isinstance(name, str)):
        raise BadRequest({"name": ["This must be text."]})
    return await _script(sent.get("nodes"), sent.get("edges"), name or "")


@routes.get("api/network/graphs/{graph_id}/export-script", contract.EXPORT)
async def export_graph(request: Request) -> Response:
    graph = await GraphStore(storage()).get(request.user.key, request.id("graph_id"))
    return await _script([*graph.nodes], [*graph.edges], graph.name)


@routes.post("api/network/graphs/import-keras-json", contract.IMPORT_KERAS_JSON)
async def import_keras_json(request: Request) -> Response:
    """`{"model_json": text, "name"?}`, or a model's JSON itself."""
    sent = read_graph_body(request)
    graph = new_graph(request.user.key, imported_payload(_model_of(sent), sent.get("name")))
    await GraphStore(storage()).create(graph)
    return Response.json(graph.view(), 201, {"Location": f"/api/network/graphs/{graph.id}/"})


def imported_payload(model: Any, name: Any, source: str = "Keras JSON") -> dict[str, Any]:
    """A graph as it could be posted, from a parsed model JSON. Raises BadRequest `{"model": […]}`."""
    drawn = import_model(model)
    return {
        "name": name if isinstance(name, str) and name.strip() else drawn["name"] or "Imported model",
        "description": f"Imported from {source}",
        "metadata": {"keras_model_name": drawn["name"]} if drawn["name"] else {},
        "nodes": drawn["nodes"],
        "edges": drawn["edges"],
    }


def _model_of(sent: Mapping[str, Any]) -> Any:
    text = sent.get("model_json")
    if text is None:
        return sent
    if not isinstance(text, str):
        return text
    try:
        model = json.loads(text)
    except (ValueError, RecursionError):
        raise BadRequest({"model": ["model_json is not valid JSON."]}) from None
    check_depth(model)
    return model


async def _script(nodes: Any, edges: Any, name: str) -> Response:
    checked, facts = await compiler().facts(nodes, edges, slug(name, "model"))
    script = write_script(checked, name, facts)
    return Response.attachment(script.encode(), "text/x-python", file_name(name))


async def _change(request: Request, *, whole: bool) -> Response:
    sent = read_graph_body(request)
    at = timestamp(now())
    graph, etag = await GraphStore(storage()).change(
        request.user.key,
        request.id("graph_id"),
        lambda before: before.changed(sent, at, whole=whole),
        request.header("if-match"),
    )
    return Response.json(graph.view(), headers={"ETag": etag})


def new_graph(owner: str, sent: Mapping[str, Any]) -> Graph:
    """A graph that was not there before. Raises BadRequest with all problems of what was sent."""
    at = timestamp(now())
    return Graph(new_id(), owner, created_at=at, updated_at=at).changed(sent, at, whole=True)
