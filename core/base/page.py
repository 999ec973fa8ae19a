"""What is the same for everybody: ready bytes with an ETag, compressed where the caller takes it."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from core.base.http import JSON_TYPE, Request, Response


@dataclass(frozen=True)
class Page:
    """One body, ready to send."""

    body: bytes
    compressed: bytes
    etag: str
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def of(cls, body: bytes, content_type: str = JSON_TYPE, headers: Mapping[str, str] | None = None) -> Page:
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        return cls(body, gzip.compress(body, mtime=0), etag, content_type, headers or {})

    def answer(self, request: Request) -> Response:
        """The page, or 304 for a caller who has it already."""
        headers = {"ETag": self.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding", **self.headers}
        if self.etag in [tag.strip().removeprefix("W/") for tag in request.header("if-none-match").split(",")]:
            return Response(304, headers=headers)
        if "gzip" in request.header("accept-encoding"):
            return Response(200, self.compressed, {**headers, "Content-Encoding": "gzip"}, self.content_type)
        return Response(200, self.body, headers, self.content_type)
