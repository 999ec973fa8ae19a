"""The functions of the app as the host sees them: names and triggers, settings filled in."""

from dataclasses import dataclass
from typing import Any

from devhost.errors import HostError
from devhost.settings import Settings

# Trigger types, and the property of the binding that may name a durable function otherwise.
_TRIGGERS = {
    "httptrigger": "",
    "blobtrigger": "",
    "timertrigger": "",
    "activitytrigger": "activity",
    "orchestrationtrigger": "orchestration",
    "entitytrigger": "entityName",
}
_DURABLE = {"activitytrigger": "activity", "orchestrationtrigger": "orchestrator", "entitytrigger": "entity"}
_OTHERS = {"http", "durableclient"}
_AS_WRITTEN = {"name", "type", "direction", "route"}


class UnknownFunction(Exception):
    """The app has no durable function of that name."""


@dataclass(frozen=True)
class Function:
    """One function and its trigger binding; `kind` is the trigger's type in lower case."""

    name: str
    kind: str
    trigger: dict[str, Any]


class Functions:
    """All enabled functions, by kind and by the name under which they are called, any case."""

    def __init__(self, described: list[dict[str, Any]], settings: Settings) -> None:
        self._by_kind: dict[str, dict[str, Function]] = {kind: {} for kind in _TRIGGERS}
        for one in described:
            if not settings.is_disabled(one["name"]):
                function = _read(one["name"], one["bindings"], settings)
                called = function.trigger.get(_TRIGGERS[function.kind]) or function.name
                self._by_kind[function.kind][called.lower()] = function

    def of(self, kind: str) -> list[Function]:
        """The functions with a trigger of that type."""
        return list(self._by_kind[kind].values())

    def require(self, kind: str, name: str) -> Function:
        """A durable function by the name under which it is called; raises UnknownFunction in the extension's words."""
        known, what = self._by_kind[kind], _DURABLE[kind]
        if name.lower() in known:
            return known[name.lower()]
        names = ", ".join(f"'{function.name}'" for function in known.values())
        listed = f"The following are the known {what} functions: {names}."
        raise UnknownFunction(
            f"The function '{name}' doesn't exist, is disabled, or is not an {what} function. Additional info: "
            + (listed if names else f"No {what} functions are currently registered!")
        )


def _read(name: str, bindings: list[dict[str, Any]], settings: Settings) -> Function:
    """Raises HostError for bindings this host cannot serve."""
    found: Function | None = None
    for binding in bindings:
        kind = binding["type"].lower()
        if kind in _TRIGGERS:
            filled = {
                key: settings.substitute(value) if isinstance(value, str) and key not in _AS_WRITTEN else value
                for key, value in binding.items()
            }
            found = Function(name, kind, filled)
        elif kind not in _OTHERS:
            raise HostError(f"function {name}: devhost has no {binding['type']} binding.")
    if found is None:
        raise HostError(f"function {name}: it has no trigger that devhost knows.")
    return found
