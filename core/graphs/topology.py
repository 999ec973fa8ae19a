"""How the nodes are wired: edges with the argument they feed, the order of calls, what goes in and out.

A layer may be called several times, so what is ordered are calls, `(node id, call number)`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from core.graphs.problems import Problems

Call = tuple[str, int]

_MOST_CALLS = 1000
_MOST_OUTPUTS = 1000
_DEEPEST_PATH = 8


@dataclass(frozen=True)
class Wire:
    """One edge: output tensor `output` of the source's call feeds `argument` of the target's call.

    `argument` is a name or a position; `path` leads into an argument that is itself a list or an
    object, e.g. `[0]` for the first item. Without a path, several wires to one argument are its list.
    """

    source: str
    source_call: int
    output: int
    target: str
    call: int
    argument: int | str
    path: tuple[int | str, ...] | None

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "path": list(self.path) if self.path is not None else None}


def read_wire(edge: Mapping[str, Any], title: str, problems: Problems) -> Wire | None:
    """An edge and its `meta` (see docs/graphs.md), or None with what is wrong added to the problems."""
    meta: Any = edge.get("meta") or {}
    if not isinstance(meta, dict):
        problems.edge(f"{title}: meta must be an object.")
        return None
    counts = {"call": _MOST_CALLS, "source_call": _MOST_CALLS, "output": _MOST_OUTPUTS}
    numbers: dict[str, int] = {}
    for key, most in counts.items():
        value = meta.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < most:
            problems.edge(f"{title}: meta.{key} must be a whole number from 0 to {most - 1}.")
            return None
        numbers[key] = value
    argument: Any = meta.get("argument", 0)
    if isinstance(argument, bool) or not isinstance(argument, int | str) or argument in ("", -1):
        problems.edge(f"{title}: meta.argument must be the name or the position of an argument.")
        return None
    if isinstance(argument, int) and not 0 <= argument < 20:
        problems.edge(f"{title}: meta.argument must be a position from 0 to 19.")
        return None
    path = _path(meta.get("path"))
    if path is False:
        problems.edge(f"{title}: meta.path must be a short list of positions and names.")
        return None
    return Wire(
        edge["source"], numbers["source_call"], numbers["output"], edge["target"], numbers["call"], argument, path
    )


def _path(value: Any) -> Any:
    """The path as a tuple, None where there is none, False where it does not read."""
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > _DEEPEST_PATH:
        return False
    for step in value:
        position = isinstance(step, int) and not isinstance(step, bool) and 0 <= step < _MOST_CALLS
        if not (position or isinstance(step, str)):
            return False
    return tuple(value)


def call_order(
    node_ids: list[str], calls: Mapping[str, int], wires: list[Wire], titles: Mapping[str, str], problems: Problems
) -> list[Call]:
    """All calls so that each comes after those it gets tensors from; nodes keep their order otherwise."""
    waiting: dict[Call, int] = {(node, call): 0 for node in node_ids for call in range(calls[node])}
    feeds: dict[Call, list[Call]] = {}
    for node, call in waiting:
        if call:  # a shared layer is called in order of its call numbers
            feeds.setdefault((node, call - 1), []).append((node, call))
            waiting[(node, call)] += 1
    for wire in wires:
        source, target = (wire.source, wire.source_call), (wire.target, wire.call)
        feeds.setdefault(source, []).append(target)
        waiting[target] += 1
    ready = deque(call for call, count in waiting.items() if count == 0)
    order: list[Call] = []
    while ready:
        call = ready.popleft()
        order.append(call)
        for follower in feeds.get(call, ()):
            waiting[follower] -= 1
            if waiting[follower] == 0:
                ready.append(follower)
    if len(order) < len(waiting):
        stuck = {call for call, count in waiting.items() if count}
        loop = " → ".join(titles[node] for node, _ in _loop(stuck, feeds))
        problems.edge(f"These layers form a loop: {loop}. Remove one of the edges between them.")
    return order


def _loop(stuck: set[Call], feeds: Mapping[Call, list[Call]]) -> list[Call]:
    """One loop among the calls that never became ready, first and last the same."""
    feeders: dict[Call, Call] = {}
    for source in stuck:
        for target in feeds.get(source, ()):
            if target in stuck:
                feeders.setdefault(target, source)
    seen: list[Call] = []
    current = next(iter(sorted(feeders)))
    while current not in seen:
        seen.append(current)
        current = feeders[current]
    loop = [*seen[seen.index(current) :], current]
    loop.reverse()
    return loop if len(loop) <= 12 else [*loop[:11], loop[-1]]
