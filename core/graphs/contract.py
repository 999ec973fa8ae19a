"""The operations on graphs, as clients are told them."""

from __future__ import annotations

from typing import Any

from core.base.description import FORM, JSON, Answer, Body, Description
from core.graphs.shapes import (
    CompileResult,
    Drawing,
    GraphBody,
    GraphChanges,
    GraphView,
    ImportedGraph,
    KerasJsonBody,
    ModelBody,
    ModelForm,
    NamedDrawing,
)

TAG = "Graphs"
_AT = "2026-05-04T09:30:00.000000Z"
_STAMPS = {"created_at": _AT, "updated_at": _AT}

DRAWING: dict[str, Any] = {
    "nodes": [
        {
            "id": "in",
            "type": "Input",
            "label": "features",
            "params": {"shape": "(10,)"},
            "position": {"x": 100, "y": 100},
        },
        {"id": "out", "type": "Dense", "label": "price", "params": {"units": "1"}, "position": {"x": 100, "y": 240}},
    ],
    "edges": [{"id": "e1", "source": "in", "target": "out"}],
}
GRAPH: dict[str, Any] = {
    "id": "0f8b6c1e-6a4f-4f0e-9a57-1c2d3e4f5a6b",
    "name": "House prices",
    "task": "",
    "framework": "tf-keras",
    "framework_version": "",
    "status": "draft",
    "description": "",
    "metadata": {},
    "nodes": [
        {**node, "notes": {}, "stable_id": f"5d1c9a52-0d55-4f3c-8d35-00000000000{number}", **_STAMPS}
        for number, node in enumerate(DRAWING["nodes"])
    ],
    "edges": [
        {**edge, "meta": {}, "stable_id": f"7a1e4b52-7f3a-4a86-9d20-00000000000{number}", **_STAMPS}
        for number, edge in enumerate(DRAWING["edges"])
    ],
    **_STAMPS,
}
IMPORTED: dict[str, Any] = {
    "name": "sequential",
    "task": "",
    "framework": "tf-keras",
    "framework_version": "3.12.4",
    "status": "draft",
    "description": "Imported from model.keras",
    "metadata": {"keras_model_name": "sequential"},
    "nodes": [
        {
            "id": "g1f2e3d4c-inputlayer-1",
            "type": "InputLayer",
            "label": "input_layer",
            "params": {"shape": [10], "dtype": "float32", "name": "input_layer"},
            "position": {"x": 100, "y": 100},
            "notes": {},
        },
        {
            "id": "g1f2e3d4c-dense-2",
            "type": "Dense",
            "label": "dense",
            "params": {"units": 1, "activation": "linear"},
            "position": {"x": 100, "y": 240},
            "notes": {},
        },
    ],
    "edges": [{"id": "g1f2e3d4c-e1", "source": "g1f2e3d4c-inputlayer-1", "target": "g1f2e3d4c-dense-2", "meta": {}}],
}
_COMPILED = {
    "summary": "┃ Layer (type)          ┃ Output Shape ┃ Param # ┃\n"
    "│ features (InputLayer) │ (None, 10)   │       0 │\n"
    "│ price (Dense)         │ (None, 1)    │      11 │\n",
    "parameter_count": 11,
    "input_shape": [[None, 10]],
    "output_shape": [[None, 1]],
}
_CANNOT_BE_BUILT = "The network cannot be built; all problems at once, by node and parameter."
_WRONG_GRAPH = "Something is wrong with the graph; all problems at once, by node and parameter."
_ETAG = "The version, for `If-Match`."
_STORED = Answer.json("The stored graph.", GraphView, GRAPH, "Location")
_SCRIPT = Answer(
    "A Python program that builds the network, as a file to save.", {"text/x-python": Body()}, ("Content-Disposition",)
)
_COMPILES = Answer.json("What Keras makes of it.", CompileResult, _COMPILED)

LIST = Description(
    TAG,
    "List your graphs",
    {200: Answer.json("Your graphs, the last changed first.", list[GraphView], [GRAPH])},
    "Nodes and edges are included.",
)
CREATE = Description(
    TAG,
    "Store a graph",
    {201: _STORED},
    "A drawing may still miss an input shape; compiling it tells what it lacks.",
    reads={JSON: Body(GraphBody, {"name": "House prices", **DRAWING})},
    refusals={400: _WRONG_GRAPH},
)
READ = Description(TAG, "Read a graph", {200: Answer.json("The graph.", GraphView, GRAPH, "ETag")})
REPLACE = Description(
    TAG,
    "Replace a graph",
    {200: Answer.json("The graph as it is now.", GraphView, GRAPH, "ETag")},
    "All or nothing: a graph that is refused changes nothing. Stable ids are kept for nodes and edges whose ids stay.",
    reads={JSON: Body(GraphBody, {"name": "House prices", **DRAWING})},
    headers=("If-Match",),
    refusals={400: _WRONG_GRAPH, 412: "Somebody has changed it since the version of `If-Match`."},
)
CHANGE = Description(
    TAG,
    "Change parts of a graph",
    {200: Answer.json("The graph as it is now.", GraphView, GRAPH, "ETag")},
    reads={JSON: Body(GraphChanges, {"name": "House prices, second try"})},
    headers=("If-Match",),
    refusals={400: _WRONG_GRAPH, 412: "Somebody has changed it since the version of `If-Match`."},
)
DELETE = Description(
    TAG,
    "Delete a graph",
    {204: Answer("It is gone, and its snapshots with it.")},
    "Trainings of it keep their own copy.",
)
COMPILE_DRAWING = Description(
    TAG,
    "Compile a drawing",
    {200: _COMPILES},
    "Builds the network and tells its shapes and parameters. Nothing is stored.",
    reads={JSON: Body(Drawing, DRAWING)},
    refusals={400: _CANNOT_BE_BUILT},
)
COMPILE = Description(TAG, "Compile a stored graph", {200: _COMPILES}, refusals={400: _CANNOT_BE_BUILT})
EXPORT_DRAWING = Description(
    TAG,
    "Export a drawing as Python",
    {200: _SCRIPT},
    reads={JSON: Body(NamedDrawing, {"name": "House prices", **DRAWING})},
    refusals={400: _CANNOT_BE_BUILT},
)
EXPORT = Description(TAG, "Export a stored graph as Python", {200: _SCRIPT}, refusals={400: _CANNOT_BE_BUILT})
IMPORT_KERAS_JSON = Description(
    "Imports",
    "Import a model's JSON",
    {201: _STORED},
    "The model is read, never run. The body is the JSON itself, or an object that holds it as text.",
    reads={
        JSON: Body(
            KerasJsonBody | ModelBody,
            {"model_json": '{"class_name": "Sequential", "config": {"layers": []}}', "name": "Imported"},
        )
    },
    refusals={400: "It is no Sequential, Functional or Model, or holds a layer that cannot be drawn."},
)
IMPORT_MODEL = Description(
    "Imports",
    "Import a small model file at once",
    {
        200: Answer.json("The graph in the file; nothing is stored.", ImportedGraph, IMPORTED),
        201: Answer.json("The graph that was stored, as `create` asks for.", GraphView, GRAPH, "Location"),
    },
    "The file is read as data, never run. Larger files go through import jobs.",
    reads={FORM: Body(ModelForm)},
    refusals={400: "The file cannot be read as a model; the sentence says why."},
)
