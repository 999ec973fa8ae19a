"""The body of a request that carries a drawing."""

from __future__ import annotations

from typing import Any

from core.base.errors import BadRequest, TooLarge
from core.base.http import Request
from core.base.settings import settings

# Models inside models take some ten levels each; Python's own limit is a thousand frames.
_DEEPEST = 200


def read_graph_body(request: Request) -> dict[str, Any]:
    """The body as a JSON object within the limit for graphs. Raises BadRequest, TooLarge."""
    most = settings().max_graph_bytes
    if len(request.body) > most:
        size = f"{len(request.body):,}"
        raise TooLarge(f"The graph has {size} bytes; at most {most:,} are allowed (MAX_GRAPH_BYTES).")
    body = request.json_object()
    check_depth(body)
    return body


def check_depth(value: Any) -> None:
    """Raises BadRequest for JSON nested so deeply that what works on it by recursion would fail half-way."""
    level: list[Any] = [value]
    for _ in range(_DEEPEST):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner += item.values()
            elif isinstance(item, list):
                inner += item
        if not inner:
            return
        level = [item for item in inner if isinstance(item, dict | list)]
    raise BadRequest(f"The JSON is nested more than {_DEEPEST} levels deep.")
