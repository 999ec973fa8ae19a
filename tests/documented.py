"""The OpenAPI document as a judge: whether an answer is one that the document promises."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import httpx
import jsonschema_rs

import function_app
from core.openapi.document import address, build


@cache
def document() -> dict[str, Any]:
    return build(function_app.ROUTES)


@cache
def closed_document() -> dict[str, Any]:
    """The document with every object closed: what it does not name is then wrong, and new keys are noticed."""
    return _closed(document())


def check(answer: httpx.Response) -> None:
    """Raises AssertionError unless status, headers and body are what the document says of this operation.

    Every client of the tests calls this with every answer (see `harness.Backend.client`). What no operation
    is documented for must be refused; an answer without a trace id is the host's own, and none of its business.
    """
    answer.read()
    check_answer(answer.request.method, answer.request.url.path, answer.status_code, answer.headers, answer.content)


def check_answer(method: str, path: str, status: int, headers: Mapping[str, str], content: bytes) -> None:
    """The same of an answer's parts; `headers` must not care about case."""
    if "x-trace-id" not in headers:
        return
    where = f"{method} {path} answered {status}: {content[:500]!r}"
    if method in ("HEAD", "OPTIONS"):
        assert not content, where
        return
    template = _template(path)
    if template is None or method.lower() not in closed_document()["paths"][template]:
        assert status in (404, 405), where
        return
    told = _answer(template, method, status)
    assert told is not None, f"a status that is not documented: {where}"
    missing = [name for name in told["headers"] if name.lower() not in headers]
    assert not missing, f"without the documented headers {missing}: {where}"
    if "content" not in told:
        assert not content, f"a body that is not documented: {where}"
        return
    kind = headers["content-type"].partition(";")[0]
    assert kind in told["content"], f"a body of an undocumented type, {kind}: {where}"
    if kind == "application/json":
        judge = _judge(template, method, status, kind)
        problems = [
            f"{problem.instance_path}: {problem.message[:300]}" for problem in judge.iter_errors(json.loads(content))
        ]
        assert not problems, f"{problems[:3]} in {where}"


def address_of(path: str) -> str:
    """A route's path as the document has it."""
    return address(path)


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """Literal paths before those with parameters, as a host's router tries them."""
    paths = sorted(closed_document()["paths"], key=lambda path: path.count("{"))
    return [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path.rstrip("/")) + "/?", re.IGNORECASE), path) for path in paths]


def _template(path: str) -> str | None:
    return next((template for pattern, template in _patterns() if pattern.fullmatch(path)), None)


def _answer(template: str, method: str, status: int) -> dict[str, Any] | None:
    """What the document says of that answer; None where it does not have it."""
    told = closed_document()["paths"][template][method.lower()]["responses"].get(str(status))
    if told is None or "$ref" not in told:
        return told
    return closed_document()["components"]["responses"][told["$ref"].rpartition("/")[2]]


@cache
def _judge(template: str, method: str, status: int, kind: str) -> Any:
    told = _answer(template, method, status)
    assert told is not None
    return validator(told["content"][kind]["schema"])


def validator(schema: dict[str, Any]) -> Any:
    """Judges values by a schema that may refer to the (closed) document's components."""
    whole = {**schema, "components": closed_document()["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


def _closed(value: Any) -> Any:
    if isinstance(value, list):
        return [_closed(item) for item in value]
    if not isinstance(value, dict):
        return value
    inner = {key: item if key in ("example", "examples") else _closed(item) for key, item in value.items()}
    if inner.get("type") == "object" and isinstance(inner.get("properties"), dict):
        inner.setdefault("additionalProperties", False)
    return inner
