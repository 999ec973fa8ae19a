"""A small HTTP client for the demo, which may use the standard library only."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from typing import Any

TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def send(method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
    """One request; refusals are answers too. Raises OSError when nobody answers."""
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    # Proxies of the machine are not for loopback.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=TIMEOUT_SECONDS) as answer:
            return Answer(answer.status, answer.read())
    except urllib.error.HTTPError as refusal:
        with refusal:
            return Answer(refusal.code, refusal.read())


@dataclass(frozen=True)
class Api:
    """The backend at `url`, as the person that the token names."""

    url: str
    token: str = field(repr=False)

    def call(self, method: str, path: str, body: Any = None) -> Answer:
        headers = {"Authorization": f"Bearer {self.token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        data = None if body is None else json.dumps(body).encode()
        return send(method, f"{self.url}{path}", data, headers)


def path_of(url: str) -> str:
    """The path of a URL, without the query: a SAS is a secret and does not belong on a screen."""
    return urllib.parse.urlsplit(url).path
