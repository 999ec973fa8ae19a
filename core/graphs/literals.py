"""Values as people type them: numbers, words, tuples as text, calls such as `L2(0.01)`.

A reader of its own rather than Python's parser, because `(None, 10)`, `[3, null]` and `(5,)` all have
to read, and because text of any length and nesting has to end in a value or in a ValueError.
"""

from __future__ import annotations

import math
import re
from typing import Any

UNSET_WORDS = {"", "none", "null", "undefined"}
_TOKEN = re.compile(
    r"\s*(?:(?P<number>[-+]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
    r"|(?P<word>[A-Za-z_][\w.]*)|'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\"|(?P<mark>[()\[\],={}:]))"
)
_LONGEST = 20_000
_DEEPEST = 20
_END = ("end", None)


def is_unset(value: Any) -> bool:
    """null and the texts that mean the same: the layer's default applies."""
    return value is None or (isinstance(value, str) and unquote(value).strip().lower() in UNSET_WORDS)


def unquote(text: str) -> str:
    """The text without blanks around it and without one pair of quotes around the rest."""
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return text


def number(text: str) -> int | float:
    """An int where the text is one, else a float. Raises ValueError, also for NaN and infinity."""
    text = text.strip()
    if len(text) > 400:
        raise ValueError("the number is too long")
    if re.fullmatch(r"[-+]?\d+", text):
        return int(text)
    if not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text):
        raise ValueError(f"{text!r} is not a number")
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is too large")
    return value


def read(text: str) -> Any:
    """The value of a literal: numbers, words, None, True, False, lists; a call becomes a `Call`.

    Raises ValueError for anything else.
    """
    reader = _Reader(text)
    value = reader.value(0)
    if reader.peek() != _END:
        raise ValueError(f"{text!r} goes on after its value")
    return value


class Call:
    """`Name(…)` as typed: positional and named arguments, not yet resolved."""

    def __init__(self, name: str, args: list[Any], kwargs: dict[str, Any]) -> None:
        self.name, self.args, self.kwargs = name, args, kwargs


_WORDS = {"none": None, "null": None, "undefined": None, "true": True, "false": False}


class _Reader:
    def __init__(self, text: str) -> None:
        if len(text) > _LONGEST:
            raise ValueError("the text is too long")
        self._tokens: list[tuple[str, Any]] = []
        position = 0
        while text[position:].strip():
            match = _TOKEN.match(text, position)
            if match is None:
                raise ValueError(f"{text[position : position + 20]!r} does not read")
            kind = str(match.lastgroup)
            self._tokens.append((kind, match[kind]))
            position = match.end()
        self._next = 0

    def peek(self) -> tuple[str, Any]:
        return self._tokens[self._next] if self._next < len(self._tokens) else _END

    def take(self) -> tuple[str, Any]:
        token = self.peek()
        self._next += 1
        return token

    def value(self, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError("the value is nested too deeply")
        kind, text = self.take()
        if kind == "number":
            return number(text.replace("_", ""))
        if kind in ("single", "double"):
            return text
        if kind == "word":
            if self.peek() == ("mark", "("):
                self.take()
                return self._call(text, depth)
            return _WORDS.get(text.lower(), text)
        if kind == "mark" and text in "([":
            return self._items(")" if text == "(" else "]", depth)
        if kind == "mark" and text == "{":
            return self._mapping(depth)
        raise ValueError(f"{text!r} is not expected here" if text else "the value ends too early")

    def _items(self, close: str, depth: int) -> list[Any]:
        items: list[Any] = []
        while self.peek() != ("mark", close):
            items.append(self.value(depth + 1))
            if not self._more(close):
                break
        self._close(close)
        return items

    def _mapping(self, depth: int) -> dict[str, Any]:
        items: dict[str, Any] = {}
        while self.peek() != ("mark", "}"):
            key = self.value(depth + 1)
            if not isinstance(key, str) or self.take() != ("mark", ":"):
                raise ValueError("an object needs text as its keys, each followed by `:`")
            items[key] = self.value(depth + 1)
            if not self._more("}"):
                break
        self._close("}")
        return items

    def _call(self, name: str, depth: int) -> Call:
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        while self.peek() != ("mark", ")"):
            following = self._tokens[self._next + 1 : self._next + 2]
            if self.peek()[0] == "word" and following == [("mark", "=")]:
                key = self.take()[1]
                self.take()
                kwargs[key] = self.value(depth + 1)
            else:
                args.append(self.value(depth + 1))
            if not self._more(")"):
                break
        self._close(")")
        return Call(name, args, kwargs)

    def _more(self, close: str) -> bool:
        if self.peek() == ("mark", ","):
            self.take()
            return True
        return self.peek() != ("mark", close) and self._expected_comma()

    def _expected_comma(self) -> bool:
        raise ValueError("a comma is missing between two items")

    def _close(self, close: str) -> None:
        if self.take() != ("mark", close):
            raise ValueError(f"{close!r} is missing")
