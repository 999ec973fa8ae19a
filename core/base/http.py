"""A request and a response as handlers see them, free of the host's types."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.base.auth import User
from core.base.errors import MalformedBody, NotFound, UnsupportedMediaType
from core.base.json_body import read_json

JSON_TYPE = "application/json"


@dataclass(frozen=True)
class Response:
    """Status, body and headers of an answer."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    content_type: str = JSON_TYPE

    @classmethod
    def json(cls, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """`value` as JSON; NaN and infinities become null."""
        return cls(status, dump_json(value), headers or {})

    @classmethod
    def empty(cls, status: int = 204) -> Response:
        return cls(status)

    @classmethod
    def attachment(cls, body: bytes, content_type: str, filename: str) -> Response:
        """A file to save; `filename` holds only characters that need no quoting."""
        return cls(200, body, {"Content-Disposition": f'attachment; filename="{filename}"'}, content_type)


@dataclass(frozen=True)
class Request:
    """What a handler may know of a call. `durable` is there on routes that start orchestrations."""

    method: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    identity: User | None = None
    durable: Any = None

    @property
    def user(self) -> User:
        if self.identity is None:
            raise RuntimeError("an anonymous route has no user")
        return self.identity

    def header(self, name: str) -> str:
        """The header's value, or "" where it is absent; `name` in lower case."""
        return self.headers.get(name, "")

    def id(self, name: str) -> str:
        """The UUID at that place of the path. Raises NotFound for anything else: nothing has such an id."""
        try:
            return str(uuid.UUID(self.path[name]))
        except ValueError:
            raise NotFound("There is nothing with that id.") from None

    def json_bytes(self) -> bytes:
        """The body, not read yet, which says that it is JSON. Raises MalformedBody, UnsupportedMediaType."""
        kind = self.header("content-type").split(";")[0].strip().lower()
        if not self.body:
            raise MalformedBody("The body is empty; send JSON.")
        if kind not in ("", JSON_TYPE) and not (kind.startswith("application/") and kind.endswith("+json")):
            raise UnsupportedMediaType(f"Send the body as JSON (Content-Type: {JSON_TYPE}).")
        return self.body

    def json(self) -> Any:
        """The body as JSON. Raises MalformedBody, UnsupportedMediaType for a body that says it is something else."""
        return read_json(self.json_bytes())

    def json_object(self) -> dict[str, Any]:
        """The body as a JSON object. Raises as `json` does, MalformedBody for any other JSON as well."""
        value = self.json()
        if not isinstance(value, dict):
            raise MalformedBody("Send a JSON object as the body.")
        return value


def dump_json(value: Any) -> bytes:
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # A lone surrogate has no UTF-8 form; as an escape, which is JSON, it comes back as it was sent.
    return text.encode("utf-8", "backslashreplace")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
