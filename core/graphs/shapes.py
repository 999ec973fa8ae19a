"""What goes over HTTP of graphs, as clients are told it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from core.base.description import File, Id, Shape, Timestamp

Status = Literal["draft", "valid", "compiled"]
Name = Annotated[str, Field(min_length=1, max_length=120)]
Object = dict[str, Any]


class NodeBody(TypedDict):
    """A layer as it is drawn. What `params` and `notes` may hold is told in docs/graphs.md."""

    id: Annotated[str, Field(description="The client's own; unique in its graph.", min_length=1, max_length=200)]
    type: Annotated[str, Field(description="Class name of a Keras layer, e.g. Dense.")]
    label: NotRequired[str | None]
    params: NotRequired[Annotated[Object | None, Field(description='As typed: `32`, `"32"` and `"(3, 3)"` are fine.')]]
    position: NotRequired[Annotated[Object | None, Field(description="Where it is drawn: x and y.")]]
    notes: NotRequired[Annotated[Object | None, Field(description="What the drawing alone cannot say.")]]


class EdgeBody(TypedDict):
    """A connection: the output of one layer goes into the next."""

    source: Annotated[str, Field(description="Id of the node it comes from.")]
    target: Annotated[str, Field(description="Id of the node it leads to.")]
    id: NotRequired[Annotated[str | None, Field(description="The client's own; unique in its graph.")]]
    meta: NotRequired[Annotated[Object | None, Field(description="Which call, output or argument is meant.")]]


class Drawing(TypedDict):
    """Layers and how they are connected."""

    nodes: Annotated[list[NodeBody], Field(min_length=1)]
    edges: NotRequired[list[EdgeBody] | None]


class NamedDrawing(Drawing):
    """A drawing with a name for what is made of it."""

    name: NotRequired[str | None]


class _Details(TypedDict, total=False):
    task: Annotated[str | None, Field(max_length=120)]
    framework: Annotated[str | None, Field(max_length=60)]
    framework_version: Annotated[str | None, Field(max_length=60)]
    status: Status | None
    description: Annotated[str | None, Field(max_length=10_000)]
    metadata: Object | None


class GraphBody(Drawing, _Details):
    """A whole graph; other keys, such as those that an answer adds, are ignored."""

    name: Name


class GraphChanges(_Details, total=False):
    """Parts of a graph; what is left out stays. Nodes and edges are each replaced as a whole."""

    name: Name
    nodes: Annotated[list[NodeBody], Field(min_length=1)]
    edges: list[EdgeBody] | None


class NodeView(TypedDict):
    """A layer as it was sent, and what outlives an update of it."""

    id: str
    type: str
    label: str
    params: Object
    position: Object
    notes: Object
    stable_id: Id
    created_at: Timestamp
    updated_at: Timestamp


class EdgeView(TypedDict):
    """A connection as it was sent, and what outlives an update of it."""

    id: str
    source: str
    target: str
    meta: Object
    stable_id: Id
    created_at: Timestamp
    updated_at: Timestamp


class GraphView(TypedDict):
    """A stored graph; nodes and edges in the order in which they were sent."""

    id: Id
    name: str
    task: str
    framework: str
    framework_version: str
    status: Status
    description: str
    metadata: Object
    nodes: list[NodeView]
    edges: list[EdgeView]
    created_at: Timestamp
    updated_at: Timestamp


class ImportedNode(TypedDict):
    """A layer as an import draws it."""

    id: str
    type: str
    label: str
    params: Object
    position: Object
    notes: Object


class ImportedEdge(TypedDict):
    """A connection as an import draws it."""

    id: str
    source: str
    target: str
    meta: Object


class ImportedGraph(TypedDict):
    """A graph that was read from a model, ready to be posted."""

    name: str
    task: str
    framework: str
    framework_version: str
    status: Status
    description: str
    metadata: Object
    nodes: list[ImportedNode]
    edges: list[ImportedEdge]


class CompileResult(TypedDict):
    """The network that a drawing describes, as Keras builds it."""

    summary: Annotated[str, Field(description="Keras's table of layers, wide enough that no cell is wrapped.")]
    parameter_count: int
    input_shape: Annotated[list[Shape], Field(description="One shape for each input.")]
    output_shape: Annotated[list[Shape], Field(description="One shape for each output.")]


class KerasJsonBody(TypedDict):
    """A model's JSON as text, with a name for the graph."""

    model_json: Annotated[str, Field(description="What `model.to_json()` gave.")]
    name: NotRequired[str | None]


class ModelBody(TypedDict):
    """A model's JSON itself, as `model.to_json()` writes it."""

    class_name: Literal["Sequential", "Functional", "Model"]
    config: Any


class ModelForm(TypedDict):
    """A model file in a form."""

    file: Annotated[File, Field(description="A .keras, .h5 or .zip file.")]
    name: NotRequired[Annotated[str, Field(description="A name for the graph, else the model's own.", max_length=120)]]
    create: NotRequired[Annotated[str, Field(description="`true`, `1`, `yes` or `on` stores the graph as well.")]]
