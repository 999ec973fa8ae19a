"""What goes over HTTP of the catalogues, as clients are told it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict


class ValueRange(TypedDict, total=False):
    """The bounds of a number."""

    min: float
    min_exclusive: float
    max: float


class ParameterEntry(TypedDict):
    """One parameter of a class or function of Keras."""

    name: str
    kind: str
    default: NotRequired[Annotated[Any, Field(description="Absent where the parameter is required.")]]
    annotation: str | None
    doc: str
    required: bool
    param_type: Literal["int", "float", "bool", "string", "tuple_int", "tuple_float"]
    possible_values: list[str] | None
    value_range: ValueRange | None
    enum: Annotated[list[str] | None, Field(description="The choices, where there are some.")]
    case_insensitive: bool
    nullable: bool
    deprecated: str | None
    alternatives: NotRequired[Annotated[list[str], Field(description="Other types that are taken as well.")]]
    object: NotRequired[Annotated[str, Field(description="What kind of Keras object it takes, e.g. initializer.")]]
    carries: NotRequired[Annotated[str, Field(description="What a drawing cannot give it, e.g. arrays.")]]


class Method(TypedDict):
    """A method of a class."""

    name: str
    signature: str
    description: str


class DocSection(TypedDict):
    """A section of Keras's own documentation."""

    title: str
    text: str


class _Listed(TypedDict):
    name: str
    description: str
    parameters: list[ParameterEntry]


class _Full(TypedDict):
    aliases: list[str]
    qualified_name: str
    module: str
    bases: list[str]
    methods: list[Method]
    doc_sections: list[DocSection]


class Layer(_Listed):
    """A layer."""

    categories: Annotated[list[str], Field(description="The groups of the palette that it is in.")]
    deprecated: bool
    refused: Annotated[str | None, Field(description="Why it cannot be drawn; null where it can.")]


class Optimizer(_Listed):
    """An optimizer."""


class Loss(_Listed):
    """A loss, as a class or a function."""

    is_function: bool
    alias_of: Annotated[str | None, Field(description="The class behind a function.")]


class Metric(_Listed):
    """A metric."""

    is_base_class: bool


class Activation(_Listed):
    """An activation function."""

    is_utility: bool


class LayerEntry(Layer, _Full):
    """All that is known of a layer."""

    call_arguments: list[str]


class OptimizerEntry(Optimizer, _Full):
    """All that is known of an optimizer."""


class LossEntry(Loss, _Full):
    """All that is known of a loss."""


class MetricEntry(Metric, _Full):
    """All that is known of a metric."""


class ActivationEntry(Activation, _Full):
    """All that is known of an activation function."""


class Layers(TypedDict):
    """The layers of Keras, in the palette's order."""

    tensorflow_version: str
    keras_version: str
    layer_count: int
    layers: list[Layer]


class Optimizers(TypedDict):
    """The optimizers of Keras, Adam first."""

    tensorflow_version: str
    optimizer_count: int
    optimizers: list[Optimizer]


class Losses(TypedDict):
    """The losses of Keras."""

    tensorflow_version: str
    loss_count: int
    losses: list[Loss]


class Metrics(TypedDict):
    """The metrics of Keras."""

    tensorflow_version: str
    metric_count: int
    metrics: list[Metric]


class Activations(TypedDict):
    """The activation functions of Keras."""

    tensorflow_version: str
    activation_count: int
    activations: list[Activation]


class ParameterSpec(TypedDict):
    """The values that a parameter takes."""

    param_type: str
    enum: list[str] | None
    value_range: ValueRange | None
    nullable: bool


class Specs(TypedDict):
    """Which Keras and TensorFlow this is; for layers also the values of their parameters, by layer and name."""

    tensorflow_version: str
    keras_version: NotRequired[str]
    param_value_specs: NotRequired[dict[str, dict[str, ParameterSpec]]]


class Done(TypedDict):
    """What was done, in words."""

    ok: bool
    message: str
