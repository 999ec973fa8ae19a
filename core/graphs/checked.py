"""A graph after its checks: plain JSON that children get and that says each thing in one way."""

from __future__ import annotations

from typing import Any, TypedDict


class CheckedNode(TypedDict, total=False):
    """One layer. `extras` has `trainable`, `dtype` and parameters that are None on purpose."""

    id: str
    type: str
    label: str
    name: str
    params: dict[str, Any]
    extras: dict[str, Any]
    own_input: list[int | None]
    """Batch shape of the input that a first layer without an Input node gets."""
    model: dict[str, Any]
    """The checked graph inside a nested model, with its `name`."""
    literals: list[dict[str, Any]]
    """For each call, arguments that are no tensors: `{"args": {"1": 2.0}, "kwargs": {…}}`."""
    input_path: list[int | str]
    outputs: list[dict[str, Any]]


class CheckedGraph(TypedDict):
    """`edges` are wires (see topology.Wire), `order` all calls in an order they can be made."""

    nodes: list[CheckedNode]
    edges: list[dict[str, Any]]
    order: list[tuple[str, int]]
