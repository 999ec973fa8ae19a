"""Python expressions as text, broken into lines the way formatters break them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

_WIDTH = 88
_INDENT = "    "


@dataclass(frozen=True)
class Name:
    """Text that stands as it is: a variable, a dotted name, an index."""

    text: str


@dataclass(frozen=True)
class Invoke:
    """`function(args, key=value)`, and what is called on the result, if anything."""

    function: str
    args: Sequence[Any] = ()
    kwargs: Sequence[tuple[str, Any]] = field(default_factory=list[tuple[str, Any]])
    then: Sequence[Any] | None = None
    then_kwargs: Sequence[tuple[str, Any]] = field(default_factory=list[tuple[str, Any]])


def statement(head: str, value: Any, depth: int) -> str:
    """`head` followed by the value, e.g. `x = …` or `return …`, on as many lines as it needs."""
    pad = _INDENT * depth
    return pad + head + _render(value, depth, len(pad) + len(head))


def _render(value: Any, depth: int, column: int, after: int = 0) -> str:
    """The value on one line if it ends within the width, else with one item on each line."""
    flat = _flat(value)
    if column + len(flat) + after <= _WIDTH:
        return flat
    if isinstance(value, Invoke):
        first = _exploded("(", _parts(value.args, value.kwargs), ")", depth)
        if value.then is None:
            return value.function + first
        then = _parts(value.then, value.then_kwargs)
        called = f"({_flat_items(then)})"
        fits = len(_INDENT) * depth + 1 + len(called) + after <= _WIDTH
        return value.function + first + (called if fits else _exploded("(", then, ")", depth))
    if isinstance(value, tuple) and value:
        return _exploded("(", [("", item) for item in value], ")", depth)
    if isinstance(value, list) and value:
        return _exploded("[", [("", item) for item in value], "]", depth)
    if isinstance(value, dict) and value:
        return _exploded("{", [(f"{_flat(key)}: ", item) for key, item in value.items()], "}", depth)
    return flat


def _exploded(opening: str, parts: list[tuple[str, Any]], closing: str, depth: int) -> str:
    """One line for each item; formatters leave alone what ends in a comma."""
    if not parts:
        return opening + closing
    pad = _INDENT * (depth + 1)
    lines = [pad + label + _render(item, depth + 1, len(pad) + len(label), after=1) + "," for label, item in parts]
    return opening + "\n" + "\n".join(lines) + "\n" + _INDENT * depth + closing


def _parts(args: Sequence[Any], kwargs: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [("", item) for item in args] + [(f"{key}=", item) for key, item in kwargs]


def _flat_items(parts: list[tuple[str, Any]]) -> str:
    return ", ".join(label + _flat(item) for label, item in parts)


def _flat(value: Any) -> str:
    if isinstance(value, Name):
        return value.text
    if isinstance(value, Invoke):
        text = f"{value.function}({_flat_items(_parts(value.args, value.kwargs))})"
        return text if value.then is None else text + f"({_flat_items(_parts(value.then, value.then_kwargs))})"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, tuple):
        inner = ", ".join(map(_flat, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flat, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flat(key)}: {_flat(item)}" for key, item in value.items()) + "}"
    return repr(value)


def quoted(text: str) -> str:
    """A Python string literal in double quotes, in ASCII."""
    if '"' in text:
        return ascii(text)
    inner = ascii(text + "'")[1:-2]
    return f'"{inner}"'
