"""A graph after its checks: plain JSON that children get and that says each thing in one way."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class CheckedNode(TypedDict):
    """One layer. `extras` has `trainable`, `dtype` and parameters that are None on purpose."""

    id: str
    type: str
    label: str
    name: str
    params: dict[str, Any]
    extras: NotRequired[dict[str, Any]]
    own_input: NotRequired[list[int | None]]
    """Batch shape of the input that a first layer without an Input node gets."""
    model: NotRequired[dict[str, Any]]
    """The checked graph inside a nested model."""
    literals: NotRequired[list[dict[str, Any]]]
    """For each call, arguments that are no tensors: `{"args": {"1": 2.0}, "kwargs": {…}}`."""
    weights: NotRequired[list[str]]
    """The layer of an import whose weights this one begins with: the names that lead to it (`core.training`)."""
    input_path: NotRequired[list[int | str]]
    outputs: NotRequired[list[dict[str, Any]]]


class CheckedGraph(TypedDict):
    """`edges` are wires (see topology.Wire), `order` all calls in an order they can be made."""

    nodes: list[CheckedNode]
    edges: list[dict[str, Any]]
    order: list[tuple[str, int]]
