"""The body of a request that carries a drawing."""

from __future__ import annotations

from typing import Any

from core.base.errors import TooLarge
from core.base.http import Request
from core.base.settings import settings


def read_graph_body(request: Request) -> dict[str, Any]:
    """The body as a JSON object within the limit for graphs. Raises MalformedBody, TooLarge."""
    most = settings().max_graph_bytes
    if len(request.body) > most:
        size = f"{len(request.body):,}"
        raise TooLarge(f"The graph has {size} bytes; at most {most:,} are allowed (MAX_GRAPH_BYTES). Draw less.")
    return request.json_object()
