"""Route templates as ASP.NET Core reads them: constraints, optional and catch-all segments, precedence."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import unquote
from uuid import UUID

from devhost.errors import HostError
from devhost.functions import Function

_PARAMETER = re.compile(r"\{(?P<all>\*{1,2})?(?P<name>\w+)(?P<constraints>(?::[^{}=?:]+(?:\([^)]*\))?)*)"
                        r"(?:=(?P<default>[^{}?]*))?(?P<optional>\?)?\}")  # fmt: skip
_CONSTRAINT = re.compile(r"(\w+)(?:\((.*)\))?$", re.DOTALL)
# Rank of a segment: a literal is the most specific, a catch-all the least.
_LITERAL, _CONSTRAINED, _PLAIN, _ALL_CONSTRAINED, _ALL = range(1, 6)

Check = Callable[[str], bool]


def _parses(convert: Callable[[str], Any], text: str) -> bool:
    try:
        convert(text)
    except ValueError:
        return False
    return True


def _integer(bits: int, text: str) -> bool:
    return bool(re.fullmatch(r"[+-]?\d+", text)) and -(2 ** (bits - 1)) <= int(text) < 2 ** (bits - 1)


_SIMPLE: dict[str, Check] = {
    "int": partial(_integer, 32),
    "long": partial(_integer, 64),
    "bool": lambda text: text.lower() in ("true", "false"),
    "guid": partial(_parses, UUID),
    "float": partial(_parses, float),
    "double": partial(_parses, float),
    "decimal": partial(_parses, float),
    "alpha": lambda text: re.fullmatch(r"[A-Za-z]*", text) is not None,
    "required": bool,
}
_WITH_ARGUMENT: dict[str, Callable[[str], Check]] = {
    "min": lambda argument: lambda text: _integer(64, text) and int(text) >= int(argument),
    "max": lambda argument: lambda text: _integer(64, text) and int(text) <= int(argument),
    "range": lambda argument: partial(_in_range, *(int(part) for part in argument.split(","))),
    "minlength": lambda argument: lambda text: len(text) >= int(argument),
    "maxlength": lambda argument: lambda text: len(text) <= int(argument),
    "length": lambda argument: partial(_in_length, [int(part) for part in argument.split(",")]),
    "regex": lambda argument: lambda text: re.search(argument, text, re.IGNORECASE) is not None,
}


def _in_range(low: int, high: int, text: str) -> bool:
    return _integer(64, text) and low <= int(text) <= high


def _in_length(bounds: list[int], text: str) -> bool:
    return bounds[0] <= len(text) <= bounds[-1]


@dataclass
class Route:
    """One template bound to a function; `methods` empty means every method."""

    function: Function
    methods: frozenset[str]
    pattern: re.Pattern[str]
    rank: tuple[int, ...]
    checks: list[tuple[str, Check]]
    defaults: dict[str, str]

    def match(self, path: str) -> dict[str, str] | None:
        """Route values for a decoded path, None when it does not fit."""
        found = self.pattern.fullmatch(path)
        if found is None:
            return None
        values = {name: value for name, value in found.groupdict().items() if value}
        if not all(check(values[name]) for name, check in self.checks if name in values):
            return None
        return self.defaults | values


class RouteTable:
    """All HTTP functions of the app, the most specific route first."""

    def __init__(self, functions: list[Function], prefix: str) -> None:
        routes = [_compile(function, prefix) for function in functions]
        self._routes = sorted(routes, key=lambda route: route.rank)

    def find(self, method: str, raw_path: str) -> tuple[Function, dict[str, str]] | None:
        """The function for a request and its route values. A wrong method is not found, as on Azure."""
        # An encoded slash is not a separator and stays encoded in the value.
        path = unquote(raw_path.replace("%2F", "%252F").replace("%2f", "%252f"))
        for route in self._routes:
            if route.methods and method not in route.methods:
                continue
            values = route.match(path)
            if values is not None:
                return route.function, values
        return None


def _compile(function: Function, prefix: str) -> Route:
    own = function.trigger.get("route", function.name).strip("/")
    template = "/".join(part for part in (prefix, own) if part)
    pattern, rank = "", []
    checks: list[tuple[str, Check]] = []
    defaults: dict[str, str] = {}
    for segment in template.split("/") if template else []:
        parameters = list(_PARAMETER.finditer(segment))
        if not parameters:
            if "{" in segment or "}" in segment:
                raise HostError(f"function {function.name}: the route segment '{segment}' cannot be read.")
            pattern += "/" + re.escape(segment)
            rank.append(_LITERAL)
            continue
        for parameter in parameters:
            checks += [(parameter["name"], check) for check in _checks(function, parameter["constraints"])]
            if parameter["default"] is not None:
                defaults[parameter["name"]] = parameter["default"]
        text, segment_rank = _segment(segment, parameters)
        pattern += text
        rank.append(segment_rank)
    methods = frozenset(str(method).upper() for method in function.trigger.get("methods") or ())
    return Route(function, methods, re.compile(pattern + "/?", re.IGNORECASE), tuple(rank), checks, defaults)


def _segment(segment: str, parameters: list[re.Match[str]]) -> tuple[str, int]:
    """Regular expression and rank of a segment with parameters."""
    only = parameters[0] if len(parameters) == 1 and parameters[0][0] == segment else None
    if only is not None and only["all"]:
        rank = _ALL_CONSTRAINED if only["constraints"] else _ALL
        return f"(?:/(?P<{only['name']}>.*))?", rank
    constrained = any(parameter["constraints"] for parameter in parameters)
    rank = _CONSTRAINED if constrained or only is None else _PLAIN
    if only is not None and (only["optional"] or only["default"] is not None):
        return f"(?:/(?P<{only['name']}>[^/]+))?", rank
    text, last = "", 0
    for parameter in parameters:
        text += re.escape(segment[last : parameter.start()]) + f"(?P<{parameter['name']}>[^/]+)"
        last = parameter.end()
    return "/" + text + re.escape(segment[last:]), rank


def _checks(function: Function, constraints: str) -> list[Check]:
    checks: list[Check] = []
    for text in re.split(r":(?![^(]*\))", constraints)[1:]:
        found = _CONSTRAINT.match(text)
        name, argument = (found[1].lower(), found[2]) if found else (text, None)
        if argument is None and name in _SIMPLE:
            checks.append(_SIMPLE[name])
        elif argument is not None and name in _WITH_ARGUMENT:
            checks.append(_WITH_ARGUMENT[name](argument))
        else:
            raise HostError(f"function {function.name}: the route constraint '{text}' is not known.")
    return checks
