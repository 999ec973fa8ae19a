"""The built-in activity behind `call_http`: one request, then polling while it is a 202 with Location."""

import asyncio
import json
from typing import Any
from urllib.parse import urljoin

from aiohttp import ClientError, ClientSession

_DEFAULT_POLL_SECONDS = 30.0


async def call_http(request: dict[str, Any]) -> dict[str, Any]:
    """Sends `{method, uri, content, headers}`; returns `{statusCode, headers, content}`.

    Raises OSError when the server cannot be reached, ValueError for a request that asks for a token."""
    if request.get("tokenSource"):
        raise ValueError("devhost has no managed identity to get a token from; call_http works without tokenSource.")
    headers = _flat(request.get("headers") or {})
    content = request.get("content")
    if content is not None and not isinstance(content, str):
        content = json.dumps(content)
    try:
        async with ClientSession() as session:
            answer = await _send(session, request["method"], request["uri"], headers, content)
            uri: str = request["uri"]
            while answer["statusCode"] == 202 and "Location" in answer["headers"]:
                await asyncio.sleep(_pause(answer["headers"]))
                uri = urljoin(uri, answer["headers"]["Location"])
                answer = await _send(session, "GET", uri, headers, None)
            return answer
    except ClientError as error:
        raise OSError(str(error)) from error


async def _send(
    session: ClientSession, method: str, uri: str, headers: dict[str, str], content: str | None
) -> dict[str, Any]:
    sent = dict(headers)
    if content is not None and not any(name.lower() == "content-type" for name in sent):
        sent["Content-Type"] = "application/json"
    async with session.request(method, uri, headers=sent, data=content) as response:
        text = await response.text()
        found = {_cased(name): value for name, value in response.headers.items()}
        return {"statusCode": response.status, "headers": found, "content": text}


def _cased(name: str) -> str:
    return "-".join(part.capitalize() for part in name.split("-"))


def _flat(headers: dict[str, Any]) -> dict[str, str]:
    return {name: ",".join(value) if isinstance(value, list) else str(value) for name, value in headers.items()}


def _pause(headers: dict[str, str]) -> float:
    text = headers.get("Retry-After", "")
    return float(text) if text.isdigit() else _DEFAULT_POLL_SECONDS
