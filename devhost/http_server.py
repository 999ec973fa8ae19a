"""The HTTP front: finds the function or the management API for a request and writes the answer."""

import asyncio
import logging
import random
import socket
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from devhost.cors import Cors
from devhost.errors import InvocationFailed, WorkerGone
from devhost.functions import Function
from devhost.keys import Keys
from devhost.link import LARGE_BODY, Header
from devhost.routes import RouteTable
from devhost.supervisor import Supervisor

_log = logging.getLogger("devhost.http")

Handler = Callable[[web.BaseRequest, str], Awaitable[web.StreamResponse]]

# The real host's limit for a request body.
BODY_LIMIT = 104_857_600
# Kestrel's limit for all headers; there is none for one of them.
HEADER_LIMIT = 32_768
_PIECE = 256 * 1024
_SERVER = "Kestrel"  # what clients of the real host see
# The server frames the answer itself.
_FRAMING = {"content-length", "transfer-encoding", "connection"}


class HttpServer:
    """Serves one socket; `routes` may be replaced while it runs, `mount` adds paths of the host itself."""

    def __init__(self, supervisor: Supervisor, cors: Cors, keys: Keys) -> None:
        self._supervisor = supervisor
        self._cors = cors
        self._keys = keys
        self._mounts: list[tuple[str, Handler]] = []
        self._server = web.Server(
            self._handle,  # pyright: ignore[reportArgumentType] - BaseRequest is what web.Server gives
            request_factory=self._request,
            access_log=None,
            auto_decompress=False,
            max_field_size=HEADER_LIMIT,
        )
        self._listener: asyncio.Server | None = None
        self.routes = RouteTable([], "")

    def mount(self, prefix: str, handler: Handler) -> None:
        """Gives all paths below `prefix` to `handler`, which gets the rest of the path."""
        self._mounts.append((prefix, handler))

    async def start(self, sock: socket.socket) -> None:
        """Begins to accept connections."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._server, sock=sock, backlog=1024)

    async def stop(self) -> None:
        """Closes connections; running requests get a moment."""
        if self._listener is not None:
            self._listener.close()
        # Idle connections are told to end; without this each would wait for the timeout below.
        self._server.pre_shutdown()
        await self._server.shutdown(timeout=2)

    def _request(self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        loop = asyncio.get_running_loop()
        return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=BODY_LIMIT)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._cors.is_preflight(request.method, request.headers) and self._cors.origins:
            return web.Response(status=204, headers=self._cors.headers(request.headers, preflight=True))
        try:
            response = await self._answer(request)
        except web.HTTPException as refused:
            # One that is raised closes the connection properly, e.g. while a body too large still arrives.
            refused.headers.update(self._cors.headers(request.headers))
            raise
        if not response.prepared:
            response.headers["Server"] = _SERVER
            response.headers.update(self._cors.headers(request.headers))
        return response

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.raw_path.partition("?")[0]
        for prefix, handler in self._mounts:
            if path.lower().startswith(prefix):
                return await handler(request, path[len(prefix) :])
        found = self.routes.find(request.method, path)
        if found is None:
            if path == "/":
                return web.Response(text="Your Functions app is up and running.")
            return web.Response(status=404)
        function, values = found
        level = str(function.trigger.get("authLevel", "FUNCTION")).upper()
        if not self._keys.allows_function(level, function.name, request):
            return web.Response(status=401)
        return await self._invoke(request, function, values)

    async def _invoke(self, request: web.BaseRequest, function: Function, values: dict[str, str]) -> web.StreamResponse:
        if (request.content_length or 0) > BODY_LIMIT:
            raise web.HTTPRequestEntityTooLarge(BODY_LIMIT, request.content_length or 0)
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        body = await request.read() if request.can_read_body else b""
        header = describe(request, values)
        try:
            reply, content = await self._supervisor.call(function, header, body)
        except InvocationFailed as error:
            _log.error("Executed 'Functions.%s' (Failed): %s", function.name, error.stack or error)
            return web.Response(status=500)
        except WorkerGone as error:
            _log.error("Executed 'Functions.%s' (Failed): %s.", function.name, error)
            return web.Response(status=500)
        headers: CIMultiDict[str] = CIMultiDict()
        for name, value in reply["headers"]:
            if name.lower() not in _FRAMING:
                headers.add(name, value)
        if len(content) > LARGE_BODY:
            headers.update({"Server": _SERVER} | self._cors.headers(request.headers))
            return await _write_large(request, reply["status"], headers, content)
        return web.Response(status=reply["status"], headers=headers, body=bytes(content))


def describe(request: web.BaseRequest, values: dict[str, str]) -> Header:
    """The frame header of an HTTP invocation; repeated headers and query keys are joined by commas."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        lower = name.lower()
        headers[lower] = f"{headers[lower]},{value}" if lower in headers else value
    query: dict[str, str] = {}
    if "?" in request.raw_path:
        for name, value in request.query.items():
            query[name] = f"{query[name]},{value}" if name in query else value
    return {
        "invocation": str(uuid.uuid4()),
        "method": request.method,
        "url": f"{request.scheme}://{request.headers.get('Host', 'localhost')}{request.raw_path}",
        "headers": headers,
        "query": query,
        "route": values,
        "traceparent": headers.get("traceparent")
        or f"00-{random.getrandbits(128):032x}-{random.getrandbits(64):016x}-00",
        "tracestate": headers.get("tracestate", ""),
    }


async def _write_large(
    request: web.BaseRequest, status: int, headers: CIMultiDict[str], content: bytes | bytearray
) -> web.StreamResponse:
    """Writes in pieces out of the buffer the worker's answer came in."""
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = len(content)
    await response.prepare(request)
    if request.method != "HEAD":
        view = memoryview(content)
        for start in range(0, len(view), _PIECE):
            await response.write(view[start : start + _PIECE])
    await response.write_eof()
    return response
