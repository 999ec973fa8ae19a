"""The operations on snapshots, as clients are told them."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from core.base.description import JSON, Answer, Body, Description, Id, Parameter, Timestamp
from core.graphs.contract import DRAWING, GRAPH
from core.graphs.shapes import GraphView

TAG = "Snapshots"
Label = Annotated[str | None, Field(max_length=200)]
Payload = Annotated[dict[str, Any], Field(description="The drawing: nodes, edges and whatever else is to be kept.")]


class SnapshotBody(TypedDict):
    """A copy to keep; without a payload it is the graph as it is stored now."""

    graph: Annotated[Id, Field(description="Which of your graphs it is of.")]
    label: NotRequired[Label]
    payload: NotRequired[Payload]


class SnapshotReplacement(TypedDict):
    """A snapshot anew; it stays with its graph."""

    payload: Payload
    label: NotRequired[Label]
    graph: NotRequired[Id]


class SnapshotChanges(TypedDict, total=False):
    """Parts of a snapshot; what is left out stays."""

    payload: Payload
    label: Label
    graph: Id


class SnapshotView(TypedDict):
    """A copy of a drawing that its owner can come back to."""

    id: Id
    graph: Id
    label: str
    payload: Payload
    created_at: Timestamp
    updated_at: Timestamp


_SNAPSHOT = {
    "id": "fe5dfac8-c6a8-85ad-8ecb-e793c5d77176",
    "graph": GRAPH["id"],
    "label": "before dropout",
    "payload": DRAWING,
    "created_at": "2026-05-04T09:30:00.000000Z",
    "updated_at": "2026-05-04T09:30:00.000000Z",
}
_REFUSED = {400: "The graph is not one of yours, or a field is wrong."}

LIST = Description(
    TAG,
    "List your snapshots",
    {200: Answer.json("Your snapshots, newest first.", list[SnapshotView], [_SNAPSHOT])},
    query=(Parameter("graph", Id, "Those of one graph only.", GRAPH["id"]),),
)
CREATE = Description(
    TAG,
    "Keep a snapshot",
    {201: Answer.json("The snapshot.", SnapshotView, _SNAPSHOT, "Location")},
    reads={JSON: Body(SnapshotBody, {"graph": GRAPH["id"], "label": "before dropout"})},
    refusals=_REFUSED,
)
READ = Description(TAG, "Read a snapshot", {200: Answer.json("The snapshot.", SnapshotView, _SNAPSHOT)})
REPLACE = Description(
    TAG,
    "Replace a snapshot",
    {200: Answer.json("The snapshot as it is now.", SnapshotView, _SNAPSHOT)},
    reads={JSON: Body(SnapshotReplacement, {"label": "before dropout", "payload": DRAWING})},
    refusals=_REFUSED,
)
CHANGE = Description(
    TAG,
    "Change parts of a snapshot",
    {200: Answer.json("The snapshot as it is now.", SnapshotView, _SNAPSHOT)},
    reads={JSON: Body(SnapshotChanges, {"label": "the good one"})},
    refusals=_REFUSED,
)
DELETE = Description(TAG, "Delete a snapshot", {204: Answer("It is gone.")})
RESTORE = Description(
    TAG,
    "Restore a snapshot",
    {200: Answer.json("The graph, drawn again as the snapshot has it.", GraphView, GRAPH)},
    "Name and id of the graph stay.",
    refusals={400: "The snapshot holds no drawing, or one that cannot be stored as a graph."},
)
