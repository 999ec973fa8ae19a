"""The OpenAPI document as a judge: whether an answer is one that the document promises."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import httpx
import jsonschema_rs

import function_app
from core.openapi.document import build


@cache
def document() -> dict[str, Any]:
    return build(function_app.ROUTES)


@cache
def closed_document() -> dict[str, Any]:
    """The document with every object closed: what it does not name is then wrong, and new keys are noticed."""
    return _closed(document())


def check(answer: httpx.Response) -> None:
    """Raises AssertionError unless status, media type and body are what the document says of this operation."""
    where = f"{answer.request.method} {answer.request.url.path} {answer.status_code}"
    operation = operation_of(answer.request.method, answer.request.url.path)
    assert operation is not None, f"{where}: not in the document"
    told = _resolved(operation["responses"].get(str(answer.status_code)))
    assert told is not None, f"{where}: this status is not documented: {answer.text[:300]}"
    assert "x-trace-id" in answer.headers, where
    for name in told.get("headers", {}):
        assert name.lower() in answer.headers, f"{where}: the header {name} is missing"
    if "content" not in told:
        assert not answer.content, f"{where}: a body that is not documented"
        return
    kind = answer.headers["content-type"].partition(";")[0]
    assert kind in told["content"], f"{where}: {kind} is not documented"
    if kind == "application/json":
        problems = [
            problem.message for problem in validator(told["content"][kind]["schema"]).iter_errors(answer.json())
        ]
        assert not problems, f"{where}: {problems[:3]} in {answer.text[:500]}"


def operation_of(method: str, path: str) -> dict[str, Any] | None:
    """The documented operation of a request; literal paths before those with parameters."""
    for template, item in sorted(closed_document()["paths"].items(), key=lambda pair: pair[0].count("{")):
        pattern = re.sub(r"\{\w+\}", "[^/]+", template.rstrip("/")) + "/?"
        if re.fullmatch(pattern, path) and method.lower() in item:
            return item[method.lower()]
    return None


def validator(schema: dict[str, Any]) -> Any:
    """Judges values by a schema that may refer to the (closed) document's components."""
    whole = {**schema, "components": closed_document()["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


def _resolved(value: Any) -> Any:
    if value is None or "$ref" not in value:
        return value
    target: Any = closed_document()
    for key in value["$ref"].removeprefix("#/").split("/"):
        target = target[key]
    return target


def _closed(value: Any) -> Any:
    if isinstance(value, list):
        return [_closed(item) for item in value]
    if not isinstance(value, dict):
        return value
    inner = {key: item if key in ("example", "examples") else _closed(item) for key, item in value.items()}
    if inner.get("type") == "object" and isinstance(inner.get("properties"), dict):
        inner.setdefault("additionalProperties", False)
    return inner
