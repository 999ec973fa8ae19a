"""The built-in activity behind `call_http`: one request, then polling while it is a 202 with Location."""

import asyncio
import json
from typing import Any
from urllib.parse import urljoin

from aiohttp import ClientSession

_DEFAULT_POLL_SECONDS = 30.0


async def call_http(request: dict[str, Any]) -> dict[str, Any]:
    """Sends `{method, uri, content, headers}`; returns `{statusCode, headers, content}`.

    Raises what aiohttp raises, and ValueError for a request that asks for a token."""
    if request.get("tokenSource"):
        raise ValueError("devhost has no managed identity to get a token from; call_http works without tokenSource.")
    method, uri, content = request["method"], request["uri"], request.get("content")
    headers = {
        name: ",".join(value) if isinstance(value, list) else str(value)
        for name, value in (request.get("headers") or {}).items()
    }
    first_headers = headers
    if content is not None:
        content = content if isinstance(content, str) else json.dumps(content)
        if not any(name.lower() == "content-type" for name in headers):
            first_headers = headers | {"Content-Type": "application/json"}
    async with ClientSession() as session:
        answer = await _send(session, method, uri, first_headers, content)
        while answer["statusCode"] == 202 and "Location" in answer["headers"]:
            pause = answer["headers"].get("Retry-After", "")
            await asyncio.sleep(float(pause) if pause.isdigit() else _DEFAULT_POLL_SECONDS)
            uri = urljoin(uri, answer["headers"]["Location"])
            answer = await _send(session, "GET", uri, headers, None)
        return answer


async def _send(
    session: ClientSession, method: str, uri: str, headers: dict[str, str], content: str | None
) -> dict[str, Any]:
    async with session.request(method, uri, headers=headers, data=content) as response:
        found = {name.title(): value for name, value in response.headers.items()}
        return {"statusCode": response.status, "headers": found, "content": await response.text()}
