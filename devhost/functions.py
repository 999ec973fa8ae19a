"""The functions of the app as the host sees them: names and bindings, settings filled in."""

from dataclasses import dataclass, field
from typing import Any

from devhost.errors import HostError
from devhost.settings import Settings

Binding = dict[str, Any]

_TRIGGERS = {
    "httptrigger",
    "blobtrigger",
    "timertrigger",
    "activitytrigger",
    "orchestrationtrigger",
    "entitytrigger",
}
_OTHERS = {"http", "durableclient"}
_AS_WRITTEN = {"name", "type", "direction", "route"}


@dataclass(frozen=True)
class Function:
    """One function and its trigger binding; `kind` is the trigger's type in lower case."""

    name: str
    kind: str
    trigger: Binding


@dataclass
class Functions:
    """All enabled functions; durable ones also by the name under which they are called, any case."""

    by_kind: dict[str, list[Function]] = field(default_factory=dict)
    activities: dict[str, Function] = field(default_factory=dict)
    orchestrators: dict[str, Function] = field(default_factory=dict)
    entities: dict[str, Function] = field(default_factory=dict)

    @classmethod
    def from_descriptions(cls, descriptions: list[dict[str, Any]], settings: Settings) -> "Functions":
        """Takes what the worker indexed; raises HostError for bindings this host cannot serve."""
        functions = cls()
        for description in descriptions:
            if not settings.is_disabled(description["name"]):
                functions._add(_read(description, settings))
        return functions

    def of(self, kind: str) -> list[Function]:
        """The functions with a trigger of that type."""
        return self.by_kind.get(kind, [])

    def _add(self, function: Function) -> None:
        self.by_kind.setdefault(function.kind, []).append(function)
        trigger = function.trigger
        if function.kind == "activitytrigger":
            self.activities[(trigger.get("activity") or function.name).lower()] = function
        elif function.kind == "orchestrationtrigger":
            self.orchestrators[(trigger.get("orchestration") or function.name).lower()] = function
        elif function.kind == "entitytrigger":
            self.entities[(trigger.get("entityName") or function.name).lower()] = function


def _read(description: dict[str, Any], settings: Settings) -> Function:
    name: str = description["name"]
    trigger: Binding | None = None
    for binding in description["bindings"]:
        kind = binding["type"].lower()
        if kind in _TRIGGERS:
            trigger = {
                key: settings.substitute(value) if isinstance(value, str) and key not in _AS_WRITTEN else value
                for key, value in binding.items()
            }
        elif kind not in _OTHERS:
            raise HostError(f"function {name}: devhost has no {binding['type']} binding.")
    if trigger is None:
        raise HostError(f"function {name}: it has no trigger that devhost knows.")
    return Function(name, trigger["type"].lower(), trigger)
