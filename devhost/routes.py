"""Route templates as ASP.NET Core reads them: constraints, optional and catch-all segments, precedence."""

import re
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar
from urllib.parse import unquote
from uuid import UUID

from devhost.errors import HostError

Target = TypeVar("Target")
Check = Callable[[str], bool]

_PARAMETER = re.compile(
    r"\{(?P<all>\*{1,2})?(?P<name>\w+)(?P<constraints>(?::[^{}?:]+(?:\([^)]*\))?)*)(?P<optional>\?)?\}"
)
_CONSTRAINT = re.compile(r":(\w+)(?:\(([^)]*)\))?")
# Rank of a segment: a literal is the most specific, a catch-all the least.
_LITERAL, _CONSTRAINED, _PLAIN, _ALL_CONSTRAINED, _ALL = range(1, 6)


def _parses_as(convert: Callable[[str], object]) -> Check:
    def check(text: str) -> bool:
        try:
            convert(text)
        except ValueError:
            return False
        return True

    return check


def _integer(low: int = -(2**63), high: int = 2**63 - 1) -> Check:
    return lambda text: re.fullmatch(r"[+-]?\d+", text) is not None and low <= int(text) <= high


def _length(low: int, high: int | None = None) -> Check:
    return lambda text: low <= len(text) <= (low if high is None else high)


# Constraints by name; each is made with the arguments that stand in its parentheses.
_CONSTRAINTS: dict[str, Callable[..., Check]] = {
    "int": lambda: _integer(-(2**31), 2**31 - 1),
    "long": _integer,
    "min": lambda low: _integer(low=int(low)),
    "max": lambda high: _integer(high=int(high)),
    "range": lambda low, high: _integer(int(low), int(high)),
    "bool": lambda: lambda text: text.lower() in ("true", "false"),
    "guid": lambda: _parses_as(UUID),
    "float": lambda: _parses_as(float),
    "double": lambda: _parses_as(float),
    "decimal": lambda: _parses_as(float),
    "alpha": lambda: lambda text: re.fullmatch(r"[A-Za-z]*", text) is not None,
    "required": lambda: bool,
    "length": lambda *bounds: _length(*map(int, bounds)),
    "minlength": lambda low: lambda text: len(text) >= int(low),
    "maxlength": lambda high: lambda text: len(text) <= int(high),
    "regex": lambda *parts: lambda text: re.search(",".join(parts), text, re.IGNORECASE) is not None,
}


class Route(Generic[Target]):
    """One template and what it leads to; no methods means every method. Raises HostError."""

    def __init__(self, template: str, methods: Iterable[str], target: Target) -> None:
        self.methods = frozenset(str(method).upper() for method in methods)
        self.target = target
        self._checks: list[tuple[str, Check]] = []
        segments = [self._read(segment, template) for segment in template.split("/") if segment]
        self._pattern = re.compile("".join(pattern for pattern, _ in segments) + "/?", re.IGNORECASE)
        self.rank = tuple(rank for _, rank in segments)

    def _read(self, segment: str, template: str) -> tuple[str, int]:
        """Regular expression and rank of a segment."""
        parameters = list(_PARAMETER.finditer(segment))
        literals = _PARAMETER.sub("\0", segment).split("\0")
        if any("{" in literal or "}" in literal for literal in literals):
            raise HostError(f"the segment '{segment}' of the route '{template}' cannot be read.")
        if not parameters:
            return "/" + re.escape(segment), _LITERAL
        self._checks += [(one["name"], check) for one in parameters for check in _checks(one["constraints"])]
        only = parameters[0] if len(parameters) == 1 and literals == ["", ""] else None
        is_constrained = only is None or bool(only["constraints"])
        if only is not None and only["all"]:
            return f"(?:/(?P<{only['name']}>(?s:.*)))?", _ALL_CONSTRAINED if is_constrained else _ALL
        pattern = "/" + re.escape(literals[0])
        for parameter, literal in zip(parameters, literals[1:], strict=True):
            pattern += f"(?P<{parameter['name']}>[^/]+)" + re.escape(literal)
        is_optional = only is not None and only["optional"]
        return f"(?:{pattern})?" if is_optional else pattern, _CONSTRAINED if is_constrained else _PLAIN

    def match(self, path: str) -> dict[str, str] | None:
        """Route values for a decoded path, None when it does not fit."""
        found = self._pattern.fullmatch(path)
        values = {name: value for name, value in found.groupdict().items() if value} if found else {}
        fits = found is not None and all(check(values[name]) for name, check in self._checks if name in values)
        return values if fits else None


def _checks(constraints: str) -> list[Check]:
    try:
        return [
            _CONSTRAINTS[name.lower()](*(arguments.split(",") if arguments else ()))
            for name, arguments in _CONSTRAINT.findall(constraints)
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise HostError(f"the route constraint '{constraints[1:]}' is not known.") from error


class RouteTable(Generic[Target]):
    """Routes, the most specific first; of equal ones the one that was named first."""

    def __init__(self, routes: Iterable[Route[Target]]) -> None:
        self._routes = sorted(routes, key=lambda route: route.rank)

    def find(self, method: str, raw_path: str) -> tuple[Target, dict[str, str]] | None:
        """What a request leads to, and its route values. A wrong method is not found, as on Azure."""
        # An encoded slash is not a separator and stays encoded in the value.
        path = unquote(raw_path.replace("%2F", "%252F").replace("%2f", "%252f"))
        for route in self._routes:
            if (not route.methods or method in route.methods) and (values := route.match(path)) is not None:
                return route.target, values
        return None
