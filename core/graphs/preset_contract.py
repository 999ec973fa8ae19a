"""The operations on presets, as clients are told them."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from core.base.description import JSON, Answer, Body, Description, Id, Timestamp
from core.graphs.contract import DRAWING
from core.graphs.shapes import Drawing

TAG = "Presets"
Slug = Annotated[str, Field(max_length=80, pattern="^[a-z0-9][a-z0-9-]*$", description="Unique among the presets.")]
Name = Annotated[str, Field(min_length=1, max_length=120)]


class PresetBody(TypedDict):
    """A drawing to begin with, and how it is offered."""

    slug: Slug
    name: Name
    description: NotRequired[Annotated[str, Field(max_length=10_000)]]
    graph: Drawing


class PresetChanges(TypedDict, total=False):
    """Parts of a preset; what is left out stays."""

    slug: Slug
    name: Name
    description: Annotated[str, Field(max_length=10_000)]
    graph: Drawing


class PresetView(TypedDict):
    """A drawing to begin with."""

    id: Id
    slug: str
    name: str
    description: str
    graph: Annotated[dict[str, Any], Field(description="Nodes and edges, as they are posted with a graph.")]
    created_at: Timestamp
    updated_at: Timestamp


_SENT = {"slug": "house-prices", "name": "House prices", "description": "", "graph": DRAWING}
_PRESET = {
    "id": "3b7c2d1e-9f40-4a6b-8c5d-2e1f0a9b8c7d",
    **_SENT,
    "created_at": "2026-05-04T09:30:00.000000Z",
    "updated_at": "2026-05-04T09:30:00.000000Z",
}
_REFUSED = {400: "The slug is taken, a field is wrong, or something is wrong with the graph."}

LIST = Description(
    TAG, "List the presets", {200: Answer.json("All presets, the last changed first.", list[PresetView], [_PRESET])}
)
CREATE = Description(
    TAG,
    "Add a preset",
    {201: Answer.json("The preset.", PresetView, _PRESET, "Location")},
    reads={JSON: Body(PresetBody, _SENT)},
    refusals=_REFUSED,
)
READ = Description(TAG, "Read a preset", {200: Answer.json("The preset.", PresetView, _PRESET)})
REPLACE = Description(
    TAG,
    "Replace a preset",
    {200: Answer.json("The preset as it is now.", PresetView, _PRESET)},
    reads={JSON: Body(PresetBody, _SENT)},
    refusals=_REFUSED,
)
CHANGE = Description(
    TAG,
    "Change parts of a preset",
    {200: Answer.json("The preset as it is now.", PresetView, _PRESET)},
    reads={JSON: Body(PresetChanges, {"name": "House prices, smaller"})},
    refusals=_REFUSED,
)
DELETE = Description(TAG, "Delete a preset", {204: Answer("It is offered no more.")})
