"""The HTTP front: finds the function or the host's own endpoint for a request, and writes the answer."""

import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

from aiohttp import web
from multidict import CIMultiDict

from devhost.access import Cors, Keys
from devhost.errors import InvocationFailed
from devhost.functions import Function
from devhost.routes import Route, RouteTable
from devhost.supervisor import Supervisor

Values = dict[str, str]

# The real host's limit for a request body.
BODY_LIMIT = 104_857_600
# Kestrel's limit for all headers; there is none for one of them.
HEADER_LIMIT = 32_768
_PIECE = 256 * 1024
_SERVER = "Kestrel"  # what clients of the real host see
# The server frames the answer itself.
_FRAMING = {"content-length", "transfer-encoding", "connection"}


@dataclass(frozen=True)
class Endpoint:
    """What answers a request, and the access level that a caller needs; `name` is the function's, if it is one."""

    answer: Callable[[web.Request, Values], Awaitable[web.StreamResponse]]
    level: str = "ANONYMOUS"
    name: str = ""


class HttpFront:
    """Serves functions and `own` endpoints on one socket."""

    def __init__(self, supervisor: Supervisor, cors: Cors, keys: Keys, own: list[Route[Endpoint]]) -> None:
        self._supervisor, self._cors, self._keys, self._own = supervisor, cors, keys, own
        self._routes = RouteTable(own)
        app = web.Application(client_max_size=BODY_LIMIT)
        app.router.add_route("*", "/{path:(?s:.*)}", self._handle)
        app.on_response_prepare.append(self._add_headers)
        self._runner = web.AppRunner(
            app, access_log=None, auto_decompress=False, max_field_size=HEADER_LIMIT, shutdown_timeout=2
        )
        # Closes connections; running requests get a moment.
        self.stop = self._runner.cleanup

    def use(self, functions: list[Function], prefix: str) -> None:
        """Serves these functions from now on; raises HostError for a route that cannot be read."""
        routes: list[Route[Endpoint]] = []
        for function in functions:
            template = f"{prefix}/{function.trigger.get('route', function.name)}"
            level = str(function.trigger.get("authLevel", "FUNCTION")).upper()
            endpoint = Endpoint(partial(self._invoke, function), level, function.name)
            routes.append(Route(template, function.trigger.get("methods") or (), endpoint))
        self._routes = RouteTable(routes + self._own)

    async def start(self, sock: socket.socket) -> None:
        """Begins to accept connections."""
        await self._runner.setup()
        await web.SockSite(self._runner, sock, backlog=1024).start()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self._cors.is_preflight(request):
            return web.Response(status=204)
        path = request.raw_path.partition("?")[0]
        found = self._routes.find(request.method, path)
        if found is None and path == "/":
            return web.Response(text="Your Functions app is up and running.")
        if found is None:
            return web.Response(status=404)
        endpoint, values = found
        if not self._keys.allow(request, endpoint.level, endpoint.name):
            return web.Response(status=401)
        return await endpoint.answer(request, values)

    async def _add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Server"] = _SERVER
        response.headers.update(self._cors.headers(request))

    async def _invoke(self, function: Function, request: web.Request, values: Values) -> web.StreamResponse:
        if (request.content_length or 0) > BODY_LIMIT:
            raise web.HTTPRequestEntityTooLarge(BODY_LIMIT, request.content_length or 0)
        body = await request.read() if request.can_read_body else b""
        try:
            answer, content = await self._supervisor.call(function, body, **_describe(request, values))
        except InvocationFailed:
            return web.Response(status=500)
        headers = CIMultiDict((name, value) for name, value in answer["headers"] if name.lower() not in _FRAMING)
        if isinstance(content, bytes):
            return web.Response(status=answer["status"], headers=headers, body=content)
        headers["Content-Length"] = str(answer["size"])
        return web.Response(status=answer["status"], headers=headers, body=_pieces(content))


def _describe(request: web.Request, values: Values) -> dict[str, Any]:
    """What the function gets to know beside the body; repeated headers and query keys are joined by commas."""
    headers = _joined((name.lower(), value) for name, value in request.headers.items())
    new_trace = f"00-{random.getrandbits(128):032x}-{random.getrandbits(64):016x}-00"
    return {
        "request": {
            "method": request.method,
            "url": f"{request.scheme}://{request.headers.get('Host', 'localhost')}{request.raw_path}",
            "headers": headers,
            "params": _joined(request.query.items()) if "?" in request.raw_path else {},
            "route_params": values,
        },
        "trace": [headers.get("traceparent", new_trace), headers.get("tracestate", "")],
    }


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs:
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


async def _pieces(content: BinaryIO) -> AsyncIterator[bytes]:
    """A large answer, out of the file in which the worker left it."""
    with content:
        while piece := content.read(_PIECE):
            yield piece
