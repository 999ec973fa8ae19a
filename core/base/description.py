"""What an operation takes and gives, in the words and types that clients are told.

A capability's `contract.py` has one `Description` for each of its operations, and the types of what it
reads and answers; its `api.py` hangs them on the routes, and `core.openapi` makes the document of them.
A type is anything that pydantic can describe: a model where requests are parsed by it, else a TypedDict,
which can say that a key may be absent, and costs nothing until somebody asks for the document.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeAlias

from pydantic import Field
from typing_extensions import TypeAliasType, TypedDict

JSON = "application/json"
FORM = "multipart/form-data"

Id: TypeAlias = Annotated[str, Field(json_schema_extra={"format": "uuid"})]
Timestamp: TypeAlias = Annotated[
    str, Field(description="ISO 8601 in UTC, with microseconds.", json_schema_extra={"format": "date-time"})
]
# One shape of a tensor; null where any size will do, as for the batch.
Shape: TypeAlias = list[int | None]
File: TypeAlias = Annotated[bytes, Field(json_schema_extra={"format": "binary"})]


class Problem(TypedDict):
    """An error in words."""

    detail: Annotated[str, Field(description="A sentence for a person, which says what to do.")]
    code: Annotated[str, Field(description="The kind of error, for programs; it stays when the sentence changes.")]
    trace_id: Annotated[
        str,
        Field(description="Quote it when asking for help: the log has it too.", pattern="^[0-9a-f]{32}$"),
    ]


# By field, or below `nodes` by node, `params` and parameter; the leaves are sentences.
Problems = TypeAliasType("Problems", "dict[str, list[str] | Problems]")


@dataclass(frozen=True)
class Body:
    """A body that is read or sent. `shape` None is one of no further structure, such as a script."""

    shape: Any = None
    example: Any = None


@dataclass(frozen=True)
class Answer:
    """One way to succeed: what it means, its body by media type, and the headers worth knowing."""

    text: str
    bodies: Mapping[str, Body] = field(default_factory=dict[str, Body])
    headers: tuple[str, ...] = ()

    @classmethod
    def json(cls, text: str, shape: Any, example: Any, *headers: str) -> Answer:
        return cls(text, {JSON: Body(shape, example)}, headers)


@dataclass(frozen=True)
class Parameter:
    """A query parameter; all of them are optional."""

    name: str
    shape: Any
    text: str
    example: Any = None


@dataclass(frozen=True)
class Description:
    """One operation. What follows from its path and options (401, 403, 404, 415, …) is not repeated here.

    `refusals` are the other statuses with which it refuses, each with when it does.
    """

    tag: str
    summary: str
    answers: Mapping[int, Answer]
    text: str = ""
    reads: Mapping[str, Body] = field(default_factory=dict[str, Body])
    query: tuple[Parameter, ...] = ()
    headers: tuple[str, ...] = ()
    refusals: Mapping[int, str] = field(default_factory=dict[int, str])
