"""Parameter values as the canvas sends them, turned into what Keras takes.

Every form of section 3 of the contract is normal here: numbers as text, words in any case, quoted
strings, tuples as text. What cannot be read becomes a sentence about what was expected and got.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from typing import Any

from core.catalog.catalog import Entry
from core.graphs import literals

# Beyond this JavaScript, and with it the canvas, no longer keeps whole numbers apart.
_LARGEST = 2**53
_TRUE = {"true", "1", "yes", "on"}
_FALSE = {"false", "0", "no", "off"}


class BadValue(ValueError):
    """A value that cannot be used; its text is a sentence for the person who typed it."""


def convert(spec: Entry, value: Any) -> Any:
    """`value`, which is set, as the parameter's type. Raises BadValue."""
    if spec.get("carries") == "unsupported":
        raise BadValue("This cannot be set from a graph; leave it empty.")
    if spec.get("carries") == "list":
        return as_list(value)
    types = [spec["param_type"], *spec.get("alternatives", [])]
    problem: BadValue | None = None
    for name in types:
        try:
            converted = _CONVERTERS[name](value)
        except BadValue as error:
            problem = problem or error
            continue
        if isinstance(converted, str) and spec["enum"]:
            converted = _choice(spec["enum"], converted)
        _check_range(spec["value_range"], converted)
        return converted
    raise problem or BadValue(f"Got {shown(value)}, which cannot be read.")


def shown(value: Any) -> str:
    """The value as it is quoted in a sentence, shortened."""
    text = value if isinstance(value, str) else repr(value)
    text = text if len(text) <= 60 else text[:57] + "…"
    return f"'{text}'" if isinstance(value, str) else text


def as_int(value: Any) -> int:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]  # Keras 2 wrote an axis as a list of one
    if isinstance(value, str):
        value = _number(value, "a whole number such as 32")
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise BadValue(f"Expected a whole number such as 32, got {shown(value)}.")
    if abs(value) > _LARGEST:
        raise BadValue(f"{shown(value)} is too large a number.")
    return int(value)


def as_float(value: Any) -> float:
    if isinstance(value, str):
        value = _number(value, "a number such as 0.5")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadValue(f"Expected a number such as 0.5, got {shown(value)}.")
    if not math.isfinite(value) or abs(value) > 1e308:
        raise BadValue(f"{shown(value)} is too large a number.")
    return float(value)


def as_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = literals.unquote(value).strip().lower() if isinstance(value, str) else str(value)
    if word in _TRUE | _FALSE:
        return word in _TRUE
    raise BadValue(f"Expected true or false, got {shown(value)}.")


def as_string(value: Any) -> str:
    if isinstance(value, str):
        return literals.unquote(value)
    raise BadValue(f"Expected text, got {shown(value)}.")


def as_list(value: Any) -> list[Any]:
    """A list of plain values, as JSON or as text."""
    if isinstance(value, str):
        value = _literal(value, "a list such as ['red', 'green']")
    if not isinstance(value, list) or not all(_is_plain(item) for item in value):
        raise BadValue(f"Expected a list such as ['red', 'green'], got {shown(value)}.")
    return list(value)


def _tuple_of(item: Callable[[Any], Any], example: str) -> Callable[[Any], Any]:
    def convert_tuple(value: Any) -> Any:
        if isinstance(value, str):
            text = literals.unquote(value)
            if "," in text and not text.lstrip().startswith(("(", "[")):
                text = f"({text})"
            value = _literal(text, f"a tuple such as {example}")
        if isinstance(value, list | tuple):
            if len(value) > 1000:
                raise BadValue("The tuple has more than 1000 items.")
            return [_tuple_item(part) for part in value]
        return item(value)

    def _tuple_item(part: Any) -> Any:
        if part is None or literals.is_unset(part):
            return None
        if isinstance(part, list | tuple):
            return [_tuple_item(inner) for inner in part]
        try:
            return item(part)
        except BadValue:
            raise BadValue(f"Expected a tuple such as {example}, got {shown(part)} in it.") from None

    return convert_tuple


_CONVERTERS: Mapping[str, Callable[[Any], Any]] = {
    "int": as_int,
    "float": as_float,
    "bool": as_bool,
    "string": as_string,
    "tuple_int": _tuple_of(as_int, "(3, 3)"),
    "tuple_float": _tuple_of(as_float, "(0.0, 1.0)"),
}


def _number(text: str, expected: str) -> int | float:
    try:
        return literals.number(literals.unquote(text))
    except ValueError:
        raise BadValue(f"Expected {expected}, got {shown(text)}.") from None


def _literal(text: str, expected: str) -> Any:
    try:
        return literals.read(text)
    except ValueError as error:
        raise BadValue(f"Expected {expected}, got {shown(text)}: {error}.") from None


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | bool | int | float)


def _choice(choices: list[str], value: str) -> str:
    """The choice meant, in any case. Raises BadValue with the nearest ones."""
    for choice in choices:
        if choice.lower() == value.strip().lower():
            return choice
    near = difflib.get_close_matches(value.lower()[:100], [choice.lower() for choice in choices], n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    listed = ", ".join(choices[:12]) + (", …" if len(choices) > 12 else "")
    raise BadValue(f"Expected one of {listed}; got {shown(value)}.{hint}")


def _check_range(limits: Mapping[str, float] | None, value: Any) -> None:
    """Raises BadValue unless every number in `value` is within the limits."""
    if limits is None or value is None or isinstance(value, str | bool):
        return
    if isinstance(value, list):
        for item in value:
            _check_range(limits, item)
        return
    if "min_exclusive" in limits and value <= limits["min_exclusive"]:
        raise BadValue(f"Must be greater than {limits['min_exclusive']}; got {value}.")
    if "min" in limits and "max" in limits and not limits["min"] <= value <= limits["max"]:
        raise BadValue(f"Must be from {limits['min']} to {limits['max']}; got {value}.")
    if "min" in limits and value < limits["min"]:
        raise BadValue(f"Must be at least {limits['min']}; got {value}.")
