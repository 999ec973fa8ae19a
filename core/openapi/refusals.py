"""Errors in the document: which an operation may answer with follows from its path, its options and its body."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core.base.api import Operation
from core.base.description import FORM, JSON, Problem, Problems
from core.base.errors import (
    AppError,
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    PreconditionFailed,
    TooLarge,
    TooMany,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
)
from core.openapi.schemas import Schemas

_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
# By status: the component's name, when it comes, and a sentence as an example.
_KINDS: dict[int, tuple[type[AppError], str, str]] = {
    400: (BadRequest, "The input is wrong.", "The body is not valid JSON: Expecting value at line 1, column 10."),
    401: (Unauthorized, "There is no token, or one that is not accepted.", "The token has expired; sign in again."),
    403: (Forbidden, "The user is known and may not do this.", "Only administrators may do this."),
    404: (NotFound, "It is not there, or not yours: the two are never told apart.", "There is no graph with that id."),
    409: (
        Conflict,
        "It cannot be done in the present state.",
        "This training job is failed and cannot become running.",
    ),
    412: (
        PreconditionFailed,
        "Somebody has changed it meanwhile.",
        "The graph was changed since it was read; read it again before saving.",
    ),
    413: (TooLarge, "It is larger than a limit allows.", "The graph has 2,001 nodes; at most 2,000 are allowed (…)."),
    415: (UnsupportedMediaType, "The body is of another type.", "Send the body as JSON (Content-Type: …)."),
    429: (TooMany, "A quota is used up.", "You have 3 imports queued or processing; at most 3 are allowed (…)."),
    500: (AppError, "Something went wrong on our side.", f"Something went wrong on our side; quote {_TRACE} if …"),
    503: (Unavailable, "Ask again later.", "Storage cannot be reached at the moment; try again in a few seconds."),
}
_FIELDS = {"epochs": ["Must be at least 1."], "nodes": {"dense-1": {"params": {"units": ["units is required."]}}}}


def refusals_of(operation: Operation) -> dict[int, Any]:
    """The operation's error answers by status."""
    told = operation.description
    own = told.refusals if told is not None else {}
    statuses = {500, 503, *own, *_expected(operation)}
    return {status: _refusal(status, own.get(status)) for status in statuses}


def _expected(operation: Operation) -> Iterator[int]:
    if not operation.anonymous:
        yield 401
    if operation.admin:
        yield 403
    if "{" in operation.path:
        yield 404
    if operation.description is not None and {JSON, FORM} & operation.description.reads.keys():
        yield from (400, 413, 415)


def _refusal(status: int, text: str | None) -> dict[str, Any]:
    shared = {"$ref": f"#/components/responses/{_KINDS[status][0].__name__}"}
    # OpenAPI 3.1 lets a reference have a description of its own.
    return shared if text is None else {**shared, "description": text}


def codes() -> list[str]:
    """All that `code` may be: those of the whole error tree."""

    def below(kind: type[AppError]) -> Iterator[str]:
        yield kind.code
        for child in kind.__subclasses__():
            yield from below(child)

    return sorted(set(below(AppError)))


def components(schemas: Schemas) -> dict[str, Any]:
    """The shared error answers by name."""
    return {kind.__name__: _component(status, kind, schemas) for status, (kind, _, _) in _KINDS.items()}


def _component(status: int, kind: type[AppError], schemas: Schemas) -> dict[str, Any]:
    _, text, sentence = _KINDS[status]
    words = {"detail": sentence, "code": kind.code, "trace_id": _TRACE}
    media: dict[str, Any] = {"schema": schemas.of(Problem), "example": words}
    if kind is BadRequest:
        media = {
            "schema": {"anyOf": [schemas.of(Problem), schemas.of(Problems)]},
            "examples": {
                "words": {"summary": "A sentence", "value": words},
                "fields": {"summary": "Sentences by field", "value": _FIELDS},
            },
        }
    names = ["X-Trace-Id", "X-Error-Code", *kind.headers]
    return {
        "description": text,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
        "content": {JSON: media},
    }
