"""The HTTP boundary: from the host's request to a handler, and from what it returns or raises to an answer.

A capability's `api.py` makes one `Routes`, hangs its handlers on it, and hands `blueprint` to the app.
There is one Azure function for each path, whatever the methods, so that a wrong method is answered
with 405 and `Allow`; the host itself would say 404.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import azure.durable_functions as df
import azure.functions as func
from azure.core.exceptions import AzureError

from core.base import telemetry
from core.base.auth import authenticate
from core.base.description import Description
from core.base.errors import (
    AppError,
    Forbidden,
    MethodNotAllowed,
    NotFound,
    TooLarge,
    Unavailable,
    UnsupportedMediaType,
)
from core.base.http import Request, Response
from core.base.jwks import key_set
from core.base.patience import limited_patience
from core.base.settings import settings
from core.base.trace import trace_id

log = logging.getLogger(__name__)

Handler = Callable[[Request], Awaitable[Response]]
ANY = "*"
# Headers of answers that pages of other origins may read.
EXPOSED = ("Location", "Content-Disposition", "ETag", "Retry-After", "X-Trace-Id", "X-Error-Code")


@dataclass(frozen=True)
class Operation:
    """One method of one path; the method `ANY` is all that have no operation of their own.

    `anonymous` needs no token, `admin` one of an administrator, `durable` gets the client that starts
    orchestrations. Whatever a client may call has a description.
    """

    path: str
    method: str
    handler: Handler
    description: Description | None
    anonymous: bool
    admin: bool
    durable: bool


class Routes:
    """The paths of one capability. `operations` is the route table that tests and documents read."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def get(self, path: str, description: Description, **options: bool) -> Callable[[Handler], Handler]:
        return self._route("GET", path, description, **options)

    def post(self, path: str, description: Description, **options: bool) -> Callable[[Handler], Handler]:
        return self._route("POST", path, description, **options)

    def put(self, path: str, description: Description, **options: bool) -> Callable[[Handler], Handler]:
        return self._route("PUT", path, description, **options)

    def patch(self, path: str, description: Description, **options: bool) -> Callable[[Handler], Handler]:
        return self._route("PATCH", path, description, **options)

    def delete(self, path: str, description: Description, **options: bool) -> Callable[[Handler], Handler]:
        return self._route("DELETE", path, description, **options)

    def unknown(self, handler: Handler) -> Handler:
        """What answers at every path that has no function, whatever the method."""
        return self._route(ANY, "{*path}", None, anonymous=True)(handler)

    def _route(
        self,
        method: str,
        path: str,
        description: Description | None,
        *,
        anonymous: bool = False,
        admin: bool = False,
        durable: bool = False,
    ) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            self.operations.append(Operation(path, method, handler, description, anonymous, admin, durable))
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
    # Without `methods` the host hands over every method, TRACE and invented ones as well.
    blueprint.route(route=path, auth_level=func.AuthLevel.ANONYMOUS)(function)


def function_name(path: str) -> str:
    """The Azure function's name of a path: `api/network/graphs/{graph_id}` is `graphs_graph_id`."""
    if "*" in path:
        return "unknown_path"
    return "_".join(re.findall(r"\w+", path.removeprefix("api/network/")))


async def _answer(
    req: func.HttpRequest, context: func.Context, operations: dict[str, Operation], durable: Any
) -> func.HttpResponse:
    headers = {key.lower(): value for key, value in req.headers.items()}
    trace = trace_id(headers.get("traceparent", ""), _traceparent(context), context.invocation_id)
    path = next(iter(operations.values())).path
    place, began, above = f"{req.method} {path}", time.monotonic(), headers.get("traceparent") or _traceparent(context)
    named = telemetry.bound(invocation=context.invocation_id or "", trace=trace)
    with named, telemetry.span(place, above), limited_patience():
        answer = await _translated(req, headers, operations, durable, place, trace)
    took = time.monotonic() - began
    telemetry.record("api.request.duration", took, route=path, method=req.method, status=answer.status_code)
    return answer


async def _translated(
    req: func.HttpRequest,
    headers: dict[str, str],
    operations: dict[str, Operation],
    durable: Any,
    place: str,
    trace: str,
) -> func.HttpResponse:
    """The answer of whatever `operations` has for this request: the one place where errors become answers."""
    try:
        return _encode(await _handle(req, headers, operations, durable), req.method, trace)
    except AppError as error:
        told = error
        # What the caller did wrong is no trouble of ours; the sentence may hold their words and stays out.
        level = logging.INFO if error.status < 500 else logging.WARNING
        log.log(level, "%s: %d %s, trace %s", place, error.status, error.code, trace)
    except (AzureError, TimeoutError) as error:
        # Expected outcomes of storage calls are handled where they are made; what is left is trouble.
        told = Unavailable("Storage cannot be reached at the moment; try again in a few seconds.")
        log.warning("%s: storage failed: %s, trace %s", place, type(error).__name__, trace, exc_info=error)
    except Exception:
        told = AppError(f"Something went wrong on our side; quote {trace} if it happens again.")
        log.exception("%s: unexpected error, trace %s", place, trace)
    return _encode(_refusal(told, trace), req.method, trace)


def _traceparent(context: func.Context) -> str:
    """The host's own, which names the operation that its telemetry shows; older workers spell it otherwise."""
    trace: Any = context.trace_context
    return getattr(trace, "trace_parent", None) or getattr(trace, "Traceparent", None) or ""


def _refusal(error: AppError, trace: str) -> Response:
    """The error as the caller sees it.

    Code and trace id stand beside `detail`. A map of problems has them in the headers alone: the canvas
    shows every leaf of a map to a person, as a problem of the field whose name it stands under.
    """
    body = error.body
    if isinstance(body.get("detail"), str):
        body = {**body, "code": error.code, "trace_id": trace}
    return Response.json(body, error.status, {**error.headers, "X-Error-Code": error.code})


async def _handle(
    req: func.HttpRequest, headers: dict[str, str], operations: dict[str, Operation], durable: Any
) -> Response:
    method = "GET" if req.method == "HEAD" else req.method
    operation = operations.get(method) or operations.get(ANY)
    if operation is None:
        usual = sorted(operations)
        allowed = ", ".join(sorted({*usual, "OPTIONS", *(["HEAD"] if "GET" in usual else [])}))
        if method == "OPTIONS":
            return Response(204, headers={"Allow": allowed})
        raise MethodNotAllowed(method, usual, allowed)
    identity = None
    if not operation.anonymous:
        identity = await authenticate(headers.get("authorization", ""), settings(), key_set(settings().jwt_jwks_url))
        if operation.admin and not identity.is_admin:
            raise Forbidden("Only administrators may do this.")
    body = req.get_body()
    if len(body) > settings().max_upload_size:
        raise TooLarge(
            f"The request has {len(body):,} bytes; at most {settings().max_upload_size:,} are accepted here"
            " (MAX_UPLOAD_SIZE). Larger files go through presign-upload."
        )
    if body and headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Send the body as it is, without Content-Encoding.")
    path = {key: value or "" for key, value in req.route_params.items()}
    return await operation.handler(Request(method, path, dict(req.params), headers, body, identity, durable))


def _encode(response: Response, method: str, trace_id: str) -> func.HttpResponse:
    headers = {
        "X-Trace-Id": trace_id,
        # Texts of users are in many answers: none is ever to be taken for a page.
        "X-Content-Type-Options": "nosniff",
        "Access-Control-Expose-Headers": ", ".join(EXPOSED),
        **response.headers,
    }
    headers.setdefault("Cache-Control", "no-store")
    body = b"" if method == "HEAD" else response.body
    charset = "utf-8" if response.content_type.startswith(("application/json", "text/")) else None
    return func.HttpResponse(
        body, status_code=response.status, headers=headers, mimetype=response.content_type, charset=charset
    )


fallback = Routes()


@fallback.unknown
async def no_such_path(request: Request) -> Response:
    raise NotFound("There is nothing at this address; /api/docs lists the paths of this API.")
