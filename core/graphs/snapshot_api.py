"""Snapshots over HTTP: kept, listed, and put back into their graph."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from core.base.api import Routes
from core.base.clients import storage
from core.base.clock import now, timestamp
from core.base.errors import BadRequest, NotFound
from core.base.http import Request, Response
from core.graphs import snapshot_contract as contract
from core.graphs.body import read_graph_body
from core.graphs.graph import Graph
from core.graphs.snapshot_store import SnapshotStore
from core.graphs.store import GraphStore

routes = Routes()

_LONGEST_LABEL = 200
_DRAWING = ("nodes", "edges", "metadata", "task", "description")


@routes.get("api/network/snapshots", contract.LIST)
async def list_snapshots(request: Request) -> Response:
    """`?graph=<id>` leaves those of one graph."""
    snapshots = await SnapshotStore(storage()).list(request.user.key, request.query.get("graph", ""))
    return Response.json([snapshot.view() for snapshot in snapshots])


@routes.post("api/network/snapshots", contract.CREATE)
async def create_snapshot(request: Request) -> Response:
    """Without a payload it is the graph as it is stored now."""
    sent = read_graph_body(request)
    graph = await _graph_of(request, sent)
    fields = _read(sent)
    payload = fields.get("payload", graph.view())
    store = SnapshotStore(storage())
    snapshot = await store.create(request.user.key, graph.id, fields.get("label", ""), payload)
    return Response.json(snapshot.view(), 201, {"Location": f"/api/network/snapshots/{snapshot.id}/"})


@routes.get("api/network/snapshots/{snapshot_id}", contract.READ)
async def read_snapshot(request: Request) -> Response:
    snapshot = await SnapshotStore(storage()).get(request.user.key, request.id("snapshot_id"))
    return Response.json(snapshot.view())


@routes.put("api/network/snapshots/{snapshot_id}", contract.REPLACE)
async def replace_snapshot(request: Request) -> Response:
    sent = read_graph_body(request)
    if "payload" not in sent:
        raise BadRequest({"payload": ["A snapshot needs a payload."]})
    return await _change(request, {"label": "", **sent})


@routes.patch("api/network/snapshots/{snapshot_id}", contract.CHANGE)
async def patch_snapshot(request: Request) -> Response:
    return await _change(request, read_graph_body(request))


@routes.delete("api/network/snapshots/{snapshot_id}", contract.DELETE)
async def delete_snapshot(request: Request) -> Response:
    await SnapshotStore(storage()).delete(request.user.key, request.id("snapshot_id"))
    return Response.empty()


@routes.post("api/network/snapshots/{snapshot_id}/restore", contract.RESTORE)
async def restore_snapshot(request: Request) -> Response:
    """The graph, drawn again as the snapshot has it; its name and id stay."""
    owner = request.user.key
    snapshot = await SnapshotStore(storage()).get(owner, request.id("snapshot_id"))
    sent = {key: snapshot.payload[key] for key in _DRAWING if key in snapshot.payload}
    if "nodes" not in sent:
        raise BadRequest("This snapshot holds no drawing; its payload has no nodes.")
    sent.setdefault("edges", [])
    at = timestamp(now())
    graph, _ = await GraphStore(storage()).change(
        owner, snapshot.graph, lambda before: before.changed(sent, at, whole=False)
    )
    return Response.json(graph.view())


async def _graph_of(request: Request, sent: Mapping[str, Any]) -> Graph:
    """The graph that a snapshot is of. Raises BadRequest where it is missing or not the caller's."""
    try:
        graph_id = str(uuid.UUID(str(sent.get("graph", ""))))
        return await GraphStore(storage()).get(request.user.key, graph_id)
    except (ValueError, NotFound):
        raise BadRequest({"graph": ["Name one of your graphs by its id."]}) from None


async def _change(request: Request, sent: Mapping[str, Any]) -> Response:
    store = SnapshotStore(storage())
    snapshot_id = request.id("snapshot_id")
    snapshot = await store.get(request.user.key, snapshot_id)
    if "graph" in sent and sent["graph"] != snapshot.graph:
        raise BadRequest({"graph": ["A snapshot stays with its graph."]})
    snapshot = await store.change(request.user.key, snapshot_id, **_read(sent))
    return Response.json(snapshot.view())


def _read(sent: Mapping[str, Any]) -> dict[str, Any]:
    """Label and payload, where they were sent. Raises BadRequest."""
    fields: dict[str, Any] = {}
    problems: dict[str, Any] = {}
    if sent.get("label") is not None:
        if not isinstance(sent["label"], str) or len(sent["label"]) > _LONGEST_LABEL:
            problems["label"] = [f"The label must be text of at most {_LONGEST_LABEL} characters."]
        fields["label"] = sent["label"]
    if "payload" in sent:
        if not isinstance(sent["payload"], dict):
            problems["payload"] = ["The payload must be an object: the drawing with its nodes and edges."]
        fields["payload"] = sent["payload"]
    if problems:
        raise BadRequest(problems)
    return fields
