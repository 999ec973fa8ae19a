"""The HTTP boundary: from the host's request to a handler, and from what it returns or raises to an answer.

A capability's `api.py` makes one `Routes`, hangs its handlers on it, and hands `blueprint` to the app.
There is one Azure function for each path, whatever the methods, so that a wrong method is answered
with 405 and `Allow`; the host itself would say 404.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import azure.durable_functions as df
import azure.functions as func
from azure.core.exceptions import AzureError

from core.base.auth import authenticate
from core.base.errors import AppError, Forbidden, MethodNotAllowed, NotFound, TooLarge, Unavailable
from core.base.http import Request, Response
from core.base.settings import settings

log = logging.getLogger(__name__)

Handler = Callable[[Request], Awaitable[Response]]
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    path: str
    method: str
    handler: Handler
    anonymous: bool
    admin: bool
    durable: bool


class Routes:
    """The paths of one capability. `operations` is the route table that tests and documents read."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def get(self, path: str, **options: bool) -> Callable[[Handler], Handler]:
        return self._route("GET", path, **options)

    def post(self, path: str, **options: bool) -> Callable[[Handler], Handler]:
        return self._route("POST", path, **options)

    def put(self, path: str, **options: bool) -> Callable[[Handler], Handler]:
        return self._route("PUT", path, **options)

    def patch(self, path: str, **options: bool) -> Callable[[Handler], Handler]:
        return self._route("PATCH", path, **options)

    def delete(self, path: str, **options: bool) -> Callable[[Handler], Handler]:
        return self._route("DELETE", path, **options)

    def _route(
        self, method: str, path: str, *, anonymous: bool = False, admin: bool = False, durable: bool = False
    ) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            self.operations.append(Operation(path, method, handler, anonymous, admin, durable))
            return handler

        return register

    @property
    def blueprint(self) -> func.Blueprint:
        """A blueprint with one function for each path."""
        blueprint = func.Blueprint()
        paths: dict[str, dict[str, Operation]] = {}
        for operation in self.operations:
            paths.setdefault(operation.path, {})[operation.method] = operation
        for path, operations in paths.items():
            _register(blueprint, path, operations)
        return blueprint


def _register(blueprint: func.Blueprint, path: str, operations: dict[str, Operation]) -> None:
    async def plain(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
        return await _answer(req, context, operations, None)

    async def durable(
        req: func.HttpRequest, context: func.Context, client: df.DurableOrchestrationClient
    ) -> func.HttpResponse:
        return await _answer(req, context, operations, client)

    needs_client = any(operation.durable for operation in operations.values())
    function: Any = durable if needs_client else plain
    function.__name__ = function_name(path)
    if needs_client:
        function = blueprint.durable_client_input(client_name="client")(function)
    route = blueprint.route(route=path, methods=METHODS, auth_level=func.AuthLevel.ANONYMOUS)
    route(function)


def function_name(path: str) -> str:
    """The Azure function's name of a path: `api/network/graphs/{graph_id}` is `graphs_graph_id`."""
    if "*" in path:
        return "unknown_path"
    return "_".join(re.findall(r"\w+", path.removeprefix("api/network/")))


async def _answer(
    req: func.HttpRequest, context: func.Context, operations: dict[str, Operation], durable: Any
) -> func.HttpResponse:
    trace_id = context.invocation_id or uuid.uuid4().hex
    try:
        response = await _handle(req, operations, durable)
    except AppError as error:
        response = Response.json(error.body, error.status, error.headers)
    except (AzureError, TimeoutError) as error:
        # Expected outcomes of storage calls are handled where they are made; what is left is trouble.
        log.warning("storage failed, trace %s: %s", trace_id, type(error).__name__, exc_info=error)
        unavailable = Unavailable("Storage cannot be reached at the moment; try again in a few seconds.")
        response = Response.json(unavailable.body, unavailable.status, unavailable.headers)
    except Exception:
        log.exception("unexpected error, trace %s", trace_id)
        detail = f"Something went wrong on our side; quote {trace_id} if it happens again."
        response = Response.json({"detail": detail}, 500)
    return _encode(response, req.method, trace_id)


async def _handle(req: func.HttpRequest, operations: dict[str, Operation], durable: Any) -> Response:
    method = "GET" if req.method == "HEAD" else req.method
    if method not in operations:
        allowed = sorted(operations)
        if method == "OPTIONS":
            return Response(204, headers={"Allow": ", ".join(allowed)})
        raise MethodNotAllowed(method, allowed)
    operation = operations[method]
    headers = {key.lower(): value for key, value in req.headers.items()}
    identity = None
    if not operation.anonymous:
        identity = authenticate(headers.get("authorization", ""), settings())
        if operation.admin and not identity.is_admin:
            raise Forbidden("Only administrators may do this.")
    body = req.get_body()
    if len(body) > settings().max_upload_size:
        raise TooLarge(
            f"The request has {len(body):,} bytes; at most {settings().max_upload_size:,} are accepted here"
            " (MAX_UPLOAD_SIZE). Larger files go through presign-upload."
        )
    path = {key: value or "" for key, value in req.route_params.items()}
    return await operation.handler(Request(method, path, dict(req.params), headers, body, identity, durable))


def _encode(response: Response, method: str, trace_id: str) -> func.HttpResponse:
    headers = {
        "X-Trace-Id": trace_id,
        "Access-Control-Expose-Headers": "Location, Content-Disposition, ETag, X-Trace-Id",
        **response.headers,
    }
    headers.setdefault("Cache-Control", "no-store")
    body = b"" if method == "HEAD" else response.body
    charset = "utf-8" if response.content_type.startswith(("application/json", "text/")) else None
    return func.HttpResponse(
        body, status_code=response.status, headers=headers, mimetype=response.content_type, charset=charset
    )


fallback = Routes()


async def _not_found(request: Request) -> Response:
    raise NotFound("There is nothing at this address; see the README for the paths of this API.")


for _method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
    fallback._route(_method, "{*path}", anonymous=True)(_not_found)  # pyright: ignore[reportPrivateUsage]
