"""The OpenAPI 3.1 document, built from the route table and the descriptions that hang on it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from core.base.api import ANY, Operation, Routes, function_name
from core.base.description import FORM, JSON, Answer, Body
from core.openapi.refusals import codes, components, refusals_of
from core.openapi.schemas import Schemas
from core.openapi.words import HEADERS, INFO, REQUEST_HEADERS, TAGS

SECURITY = "bearer"


def build(tables: Sequence[Routes]) -> dict[str, Any]:
    """The document of all operations in the route tables; the same bytes of JSON for the same app."""
    operations = [operation for table in tables for operation in table.operations if operation.method != ANY]
    schemas = Schemas(_shapes(operations))
    schemas.definitions["Problem"]["properties"]["code"]["enum"] = codes()
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(address(operation.path), {})[operation.method.lower()] = _operation(operation, schemas)
    used = {operation.description.tag for operation in operations if operation.description}
    return {
        "openapi": "3.1.0",
        "info": INFO,
        "servers": [{"url": "/"}],
        "security": [{SECURITY: []}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items() if name in used],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions,
            "responses": components(schemas),
            "headers": {name: {"description": text, "schema": {"type": "string"}} for name, text in HEADERS.items()},
            "securitySchemes": {
                SECURITY: {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The token of the signed-in user.",
                }
            },
        },
    }


def address(path: str) -> str:
    """A route as clients write it: the paths of the contract end with a slash."""
    return f"/{path}" if path in ("api/openapi.json", "api/docs") else f"/{path}/"


def _shapes(operations: Iterable[Operation]) -> Iterable[Any]:
    for operation in operations:
        if (told := operation.description) is not None:
            bodies = [
                *told.reads.values(),
                *(body for answer in told.answers.values() for body in answer.bodies.values()),
            ]
            yield from (body.shape for body in bodies if body.shape is not None)
            yield from (parameter.shape for parameter in told.query)


def _operation(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    told = operation.description
    if told is None:
        raise ValueError(f"{operation.method} {operation.path} has no description")
    found: dict[str, Any] = {
        "operationId": f"{operation.method.lower()}_{function_name(operation.path)}",
        "tags": [told.tag],
        "summary": told.summary,
    }
    if told.text:
        found["description"] = told.text
    if operation.anonymous:
        found["security"] = []
    if parameters := [*_path_parameters(operation.path), *_other_parameters(operation, schemas)]:
        found["parameters"] = parameters
    if told.reads:
        found["requestBody"] = {"required": True, "content": _content(told.reads, schemas)}
    answers = {status: _answer(answer, schemas) for status, answer in told.answers.items()}
    refusals = refusals_of(operation)
    found["responses"] = {str(status): value for status, value in sorted({**refusals, **answers}.items())}
    return found


def _path_parameters(path: str) -> Iterable[dict[str, Any]]:
    for name in re.findall(r"\{(\w+)\}", path):
        schema = {"type": "string", "format": "uuid"} if name.endswith("_id") else {"type": "string", "minLength": 1}
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _other_parameters(operation: Operation, schemas: Schemas) -> Iterable[dict[str, Any]]:
    told = operation.description
    if told is None:
        return
    for parameter in told.query:
        schema = schemas.of(parameter.shape)
        found = {"name": parameter.name, "in": "query", "description": parameter.text, "schema": schema}
        yield found if parameter.example is None else {**found, "example": parameter.example}
    for name in told.headers:
        yield {"name": name, "in": "header", "description": REQUEST_HEADERS[name], "schema": {"type": "string"}}


def _content(bodies: Mapping[str, Body], schemas: Schemas) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for kind, body in bodies.items():
        media: dict[str, Any] = {}
        if body.shape is not None:
            media["schema"] = schemas.of(body.shape)
        elif kind != JSON:
            media["schema"] = {"type": "string"}
        if body.example is not None:
            media["example"] = body.example
        if kind == FORM:
            media["encoding"] = {"file": {"contentType": "application/octet-stream"}}
        content[kind] = media
    return content


def _answer(answer: Answer, schemas: Schemas) -> dict[str, Any]:
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in (*answer.headers, "X-Trace-Id")}
    found: dict[str, Any] = {"description": answer.text, "headers": headers}
    if answer.bodies:
        found["content"] = _content(answer.bodies, schemas)
    return found
