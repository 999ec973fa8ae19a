"""The operations on import jobs, as clients are told them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from core.base.description import FORM, JSON, Answer, Body, Description, File, Id, Timestamp
from core.graphs.contract import GRAPH, IMPORTED
from core.graphs.shapes import GraphView, ImportedGraph
from core.uploads.shapes import Presigned, presigned_example

TAG = "Imports"
_ID = "fe5dfac8-b642-8117-a561-426e3cf5c06c"
GraphName = Annotated[str | None, Field(max_length=120, description="A name for the graph, else the model's own.")]
_TRUE = "`true`, `1`, `yes` or `on` stores the graph as soon as it has been read."


class ImportForm(TypedDict):
    """A model file, and what is to become of it."""

    file: Annotated[File, Field(description="A .keras, .h5 or .zip file.")]
    graph_name: NotRequired[GraphName]
    auto_create_graph: NotRequired[Annotated[str, Field(description=_TRUE)]]


class ImportUpload(TypedDict):
    """A model file that is about to be uploaded, and what is to become of it."""

    filename: Annotated[str, Field(description="It must end in .keras, .h5 or .zip.")]
    graph_name: NotRequired[GraphName]
    auto_create_graph: NotRequired[Annotated[bool | str | int | None, Field(description=_TRUE)]]


class ImportOptions(TypedDict, total=False):
    """What was asked for."""

    graph_name: str
    auto_create_graph: bool


class ImportedWeights(TypedDict):
    """What was kept of the weights in the file."""

    layers: int
    parameters: int


class ImportView(TypedDict):
    """An import job."""

    id: Id
    status: Literal["queued", "processing", "succeeded", "failed", "cancelled"]
    source_name: Annotated[str, Field(description="The client's name of the file.")]
    graph_payload: Annotated[ImportedGraph | None, Field(description="The graph in the file, once it has been read.")]
    graph: Annotated[GraphView | None, Field(description="The graph that was made of it, while there is one.")]
    weights: Annotated[
        ImportedWeights | None, Field(description="The weights that a training may begin with (`initial_weights`).")
    ]
    weights_note: Annotated[str, Field(description="Why there are none, or what of them cannot be used; else empty.")]
    error: Annotated[str, Field(description="Why it failed, and what to do about it; empty otherwise.")]
    options: ImportOptions
    upload_size_bytes: int
    created_at: Timestamp
    updated_at: Timestamp
    started_at: Timestamp | None
    finished_at: Timestamp | None


_QUEUED: dict[str, Any] = {
    "id": _ID,
    "status": "queued",
    "source_name": "model.keras",
    "graph_payload": None,
    "graph": None,
    "weights": None,
    "weights_note": "",
    "error": "",
    "options": {"graph_name": "Imported"},
    "upload_size_bytes": 23985,
    "created_at": "2026-05-04T09:30:00.000000Z",
    "updated_at": "2026-05-04T09:30:00.000000Z",
    "started_at": None,
    "finished_at": None,
}
_SUCCEEDED = {
    **_QUEUED,
    "status": "succeeded",
    "graph_payload": IMPORTED,
    "weights": {"layers": 2, "parameters": 209},
    "started_at": "2026-05-04T09:30:01.000000Z",
    "finished_at": "2026-05-04T09:30:02.000000Z",
}
_QUOTA = "As many imports as a user may have are queued or processing; wait for one to end."
_STARTED = Answer.json("It waits or is being read.", ImportView, _QUEUED, "Location")

IMPORT = Description(
    TAG,
    "Import a model file",
    {202: _STARTED},
    reads={FORM: Body(ImportForm)},
    refusals={400: "The file is missing, empty, or its name ends in something else.", 429: _QUOTA},
)
PRESIGN = Description(
    TAG,
    "Make an import and a link for its file",
    {
        201: Answer.json(
            "The job, and where to PUT the file.", Presigned, presigned_example(_ID, "imports/…"), "Location"
        )
    },
    "The import starts when the file has arrived, or by `start`.",
    reads={JSON: Body(ImportUpload, {"filename": "model.keras", "graph_name": "Imported"})},
    refusals={400: "The name ends in something else, or an option is wrong.", 429: _QUOTA},
)
LIST = Description(
    TAG, "List your imports", {200: Answer.json("Your imports, newest first.", list[ImportView], [_SUCCEEDED])}
)
READ = Description(TAG, "Read an import", {200: Answer.json("The import.", ImportView, _SUCCEEDED)})
START = Description(
    TAG,
    "Start an import",
    {202: _STARTED},
    "Harmless when it has started already, by its upload or by another call.",
    refusals={400: "The file has not arrived (`nothing_uploaded`), or the import has ended (`wrong_state`)."},
)
CANCEL = Description(
    TAG,
    "Cancel an import",
    {
        202: Answer.json("It is cancelled.", ImportView, {**_QUEUED, "status": "cancelled"}),
        200: Answer.json("It was cancelled already.", ImportView, {**_QUEUED, "status": "cancelled"}),
    },
    refusals={400: "It is no longer queued (`wrong_state`)."},
)
CREATE_GRAPH = Description(
    TAG,
    "Store the graph of an import",
    {
        201: Answer.json("The graph.", GraphView, GRAPH, "Location"),
        200: Answer.json("The graph that was made of it before.", GraphView, GRAPH, "Location"),
    },
    refusals={400: "The import has not succeeded (`wrong_state`)."},
)
