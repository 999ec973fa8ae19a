"""Attention as it is drawn: plain edges into a layer that takes query, value and key apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from core.graphs.nodes import Node
from core.graphs.topology import Wire

_TYPES = ("MultiHeadAttention", "GroupQueryAttention", "GroupedQueryAttention")
_ARGUMENTS = 3


def spread_attention(nodes: Iterable[Node], wires: list[Wire]) -> list[Wire]:
    """The wires with plain ones into such a layer as its query, value and key, in their order.

    A single one is all of them: self-attention. Keras would take a list for the query alone and fail.
    """
    attention = {node.id for node in nodes if node.type in _TYPES}
    groups: dict[tuple[str, int], list[Wire]] = {}
    for wire in wires:
        if wire.target in attention:
            groups.setdefault((wire.target, wire.call), []).append(wire)
    plain = {
        place: group
        for place, group in groups.items()
        if len(group) <= _ARGUMENTS and all(wire.argument == 0 and wire.path is None for wire in group)
    }
    spread: list[Wire] = []
    for wire in wires:
        group = plain.get((wire.target, wire.call))
        if group is None:
            spread.append(wire)
        elif len(group) == 1:
            spread += [wire, replace(wire, argument=1)]
        else:
            spread.append(replace(wire, argument=[id(other) for other in group].index(id(wire))))
    return spread
