"""What becomes of what a handler returns or raises: one answer, one line in the log, one id in both."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import azure.functions as func
import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError

from core.base import errors
from core.base.api import EXPOSED, Routes
from core.base.description import Description
from core.base.errors import AppError, BadRequest, NotFound, TooMany, Unavailable
from core.base.http import Request, Response

SENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
HOST = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
INVOCATION = "d5e0d3a3-9e4b-4c5b-8f57-0d5e8c3f0b1a"


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def call(
    outcome: Callable[[], Response], method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes = b""
) -> Answer:
    """One request to a route whose handler does `outcome`, through the function that a host would call."""
    routes = Routes()

    async def handler(request: Request) -> Response:
        return outcome()

    told = Description("Things", "Do a thing", {})
    routes.get("api/network/things/{thing}", told, anonymous=True)(handler)
    routes.post("api/network/things/{thing}", told, anonymous=True)(handler)
    app = func.FunctionApp()
    app.register_functions(routes.blueprint)
    [function] = app.get_functions()
    request = func.HttpRequest(
        method, "http://host/api/network/things/7", headers=headers or {}, route_params={"thing": "7"}, body=body
    )
    context = SimpleNamespace(invocation_id=INVOCATION, trace_context=SimpleNamespace(Traceparent=HOST))
    answer = await function.get_user_function()(request, context)
    return Answer(answer.status_code, answer.headers, answer.get_body())


def raising(error: Exception) -> Callable[[], Response]:
    def outcome() -> Response:
        raise error

    return outcome


def kinds(root: type[AppError]) -> list[type[AppError]]:
    return [root, *(kind for child in root.__subclasses__() for kind in kinds(child))]


def test_every_kind_of_error_has_a_code_of_its_own_that_programs_can_read() -> None:
    codes = [kind.code for kind in kinds(AppError) if kind.__module__ == errors.__name__]
    assert len(set(codes)) == len(codes) > 12
    assert all(code.replace("_", "").isalpha() and code.islower() for code in codes)


@pytest.mark.parametrize("kind", [NotFound, TooMany, Unavailable, errors.Unauthorized, errors.Conflict])
async def test_an_error_is_a_sentence_a_code_and_the_id_that_stands_in_the_log(
    kind: type[AppError], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    answer = await call(raising(kind("Words of a caller.")), headers={"traceparent": SENT})
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    assert answer.json == {"detail": "Words of a caller.", "code": kind.code, "trace_id": trace}
    assert (answer.status, answer.headers["X-Error-Code"], answer.headers["X-Trace-Id"]) == (
        kind.status,
        kind.code,
        trace,
    )
    [record] = caplog.records
    # Telemetry may add what the record belongs to.
    told = record.getMessage().partition(" [")[0]
    assert told == f"GET api/network/things/{{thing}}: {kind.status} {kind.code}, trace {trace}"
    assert record.levelno == (logging.INFO if kind.status < 500 else logging.WARNING)


async def test_a_map_of_problems_stays_as_it_is_and_has_its_code_in_the_headers() -> None:
    problems = {"epochs": ["Must be at least 1."], "nodes": {"a": {"params": {"units": ["…"]}}}}
    answer = await call(raising(BadRequest(problems)))
    assert answer.json == problems
    assert answer.headers["X-Error-Code"] == "bad_request" and answer.headers["X-Trace-Id"]


@pytest.mark.parametrize("error", [ServiceRequestError("no route to 10.0.0.7"), HttpResponseError("x"), TimeoutError()])
async def test_storage_that_fails_is_a_503_with_a_time_to_try_again(error: Exception) -> None:
    answer = await call(raising(error))
    assert (answer.status, answer.json["code"]) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) > 0 and b"10.0.0.7" not in answer.body


async def test_an_unexpected_error_tells_the_caller_an_id_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    answer = await call(raising(KeyError("/srv/app/secret.py")))
    trace = HOST.split("-")[1]
    assert answer.status == 500
    assert answer.json == {
        "detail": f"Something went wrong on our side; quote {trace} if it happens again.",
        "code": "internal",
        "trace_id": trace,
    }
    [record] = caplog.records
    assert record.levelno == logging.ERROR and record.exc_info and trace in record.getMessage()


@pytest.mark.parametrize(
    ("sent", "trace"),
    [
        (SENT, "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-later", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("", "0af7651916cd43dd8448eb211c80319c"),
        ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", "0af7651916cd43dd8448eb211c80319c"),
        ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "0af7651916cd43dd8448eb211c80319c"),
        (SENT.upper(), "0af7651916cd43dd8448eb211c80319c"),
        ("<script>", "0af7651916cd43dd8448eb211c80319c"),
    ],
)
async def test_the_callers_trace_id_is_used_where_it_is_one(sent: str, trace: str) -> None:
    answer = await call(lambda: Response.json({}), headers={"traceparent": sent})
    assert (answer.status, answer.headers["X-Trace-Id"]) == (200, trace)


@pytest.mark.parametrize("method", ["DELETE", "TRACE", "BREW"])
async def test_any_other_method_is_a_405_with_all_that_is_allowed(method: str) -> None:
    answer = await call(lambda: Response.json({}), method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS, POST")
    assert answer.json["code"] == "method_not_allowed"


async def test_options_and_head_are_answered_without_a_body() -> None:
    options = await call(lambda: Response.json({}), "OPTIONS")
    assert (options.status, options.body, options.headers["Allow"]) == (204, b"", "GET, HEAD, OPTIONS, POST")
    head = await call(lambda: Response.json({"a": 1}), "HEAD")
    assert (head.status, head.body) == (200, b"")


async def test_a_compressed_body_is_refused_and_not_taken_for_broken_json() -> None:
    answer = await call(lambda: Response.json({}), "POST", {"content-encoding": "gzip"}, b"\x1f\x8b")
    assert (answer.status, answer.json["code"]) == (415, "unsupported_media_type")


async def test_pages_of_other_origins_may_read_what_they_are_told() -> None:
    answer = await call(raising(NotFound("x")))
    assert answer.headers["Access-Control-Expose-Headers"].split(", ") == [*EXPOSED]
    assert {"Location", "Content-Disposition", "X-Trace-Id", "X-Error-Code"} <= {*EXPOSED}
