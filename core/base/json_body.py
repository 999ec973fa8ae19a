"""JSON that comes in: only what means one thing, and nothing that breaks what works on it afterwards."""

from __future__ import annotations

import json
import math
from typing import Any

from core.base.errors import MalformedBody

# Models inside models take some ten levels each; Python's own limit is a thousand frames.
_DEEPEST = 200


def read_json(body: bytes) -> Any:
    """The body as JSON. Raises MalformedBody with what is wrong and, where there is one, the place.

    Refused besides what is no JSON: NaN and infinities, also by overflow (`1e999`), names that come
    twice in one object, and nesting so deep that recursion over it would fail half-way.
    """
    try:
        value = json.loads(
            body.decode("utf-8-sig"),
            parse_constant=_refuse_constant,
            parse_float=_finite,
            object_pairs_hook=_object,
        )
    except UnicodeDecodeError:
        raise MalformedBody("The body is not UTF-8 text; send JSON in UTF-8.") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise MalformedBody(f"The body is not valid JSON: {error.msg} at {place}.") from None
    except ValueError:
        # Python refuses to read integers of more than 4300 digits, since that takes quadratic time.
        raise MalformedBody("The body holds a number with thousands of digits.") from None
    except RecursionError:
        raise MalformedBody("The JSON in the body is nested too deeply.") from None
    check_depth(value)
    return value


def check_depth(value: Any) -> None:
    """Raises MalformedBody for JSON nested so deeply that what works on it by recursion would fail half-way."""
    level: list[Any] = [value]
    for _ in range(_DEEPEST):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner += item.values()
            elif isinstance(item, list):
                inner += item
        if not inner:
            return
        level = [item for item in inner if isinstance(item, dict | list)]
    raise MalformedBody(f"The JSON is nested more than {_DEEPEST} levels deep.")


def _refuse_constant(name: str) -> Any:
    raise MalformedBody(f"The body is not valid JSON: {name} is not a JSON number.")


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise MalformedBody(f"The body holds a number that is too large: {digits[:20]}.")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))
        raise MalformedBody(f"The name {json.dumps(twice[:100])} comes twice in one object of the body.")
    return value
