"""Where imported layers stand on the canvas: a row for each step of depth, side by side within it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_LEFT, _TOP, _COLUMN, _ROW = 100, 100, 260, 140


def place(node_ids: list[str], edges: Iterable[tuple[str, str]]) -> dict[str, dict[str, Any]]:
    """A position for each node, no two the same. A node stands below all that feed it.

    `node_ids` come in the order of the model; an edge that leads backwards in it (a later call of a
    shared layer) does not push anything down.
    """
    rank = {node_id: index for index, node_id in enumerate(node_ids)}
    feeds: dict[str, list[str]] = {}
    for source, target in edges:
        if rank[source] < rank[target]:
            feeds.setdefault(target, []).append(source)
    depth: dict[str, int] = {}
    width: dict[int, int] = {}
    positions: dict[str, dict[str, Any]] = {}
    for node_id in node_ids:
        row = max((depth[source] + 1 for source in feeds.get(node_id, ())), default=0)
        column = width.get(row, 0)
        depth[node_id], width[row] = row, column + 1
        positions[node_id] = {"x": _LEFT + _COLUMN * column, "y": _TOP + _ROW * row}
    return positions
