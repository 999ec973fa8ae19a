"""Bicep evaluated: what a deployment with given parameters would ask Azure for.

Modules are entered and expressions computed. What only Azure knows when it has made something, such as an endpoint,
stays a `Reference`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tree_sitter import Node

from tests.unit.infra.bicep_syntax import FUNCTIONS, Template, arguments, child, pairs, text

_TYPES: dict[str, type] = {"string": str, "int": int, "bool": bool, "object": dict, "array": list}
_NOTHING: Mapping[str, Any] = {}


class Reference(str):
    """A value that is not known yet; its text says what it is, in brackets."""

    path: str

    def __new__(cls, path: str) -> Reference:
        made = super().__new__(cls, f"[{path}]")
        made.path = path
        return made


@dataclass(frozen=True)
class Resource:
    """A resource that is asked for; `type` is without the version of the interface."""

    symbol: str
    type: str
    body: dict[str, Any]

    @property
    def name(self) -> str:
        return self.body["name"]

    @property
    def properties(self) -> dict[str, Any]:
        return self.body["properties"]


@dataclass
class Deployment:
    """What a template comes to: its resources with those of its modules, and its outputs."""

    resources: list[Resource] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    def all(self, type: str) -> list[Resource]:
        return [each for each in self.resources if each.type == type]

    def one(self, type: str) -> Resource:
        [found] = self.all(type)
        return found


def deploy(path: Path, parameters: Mapping[str, Any]) -> Deployment:
    """Raises BicepError for what does not fit together."""
    return _Evaluation(Template(path), parameters).deploy()


class _Evaluation:
    """A template with values for its parameters; everything else is computed when it is asked for."""

    def __init__(self, template: Template, given: Mapping[str, Any]) -> None:
        self._template = template
        self._declared = template.declared
        self._given = given
        self._modules: dict[str, Deployment | None] = {}

    def deploy(self) -> Deployment:
        self._check_parameters()
        result = Deployment()
        for name in self._declared["module"]:
            if (deployed := self._module(name)) is not None:
                result.resources += deployed.resources
        for symbol, declared in self._declared["resource"].items():
            if not declared.exists_already:
                kind = self.value(declared.text).partition("@")[0]
                bodies = self._chosen(declared.value)
                bodies = bodies if isinstance(bodies, list) else [bodies]
                result.resources += [Resource(symbol, kind, body) for body in bodies if body is not None]
        result.outputs = {name: self.value(each.value) for name, each in self._declared["output"].items()}
        return result

    def _check_parameters(self) -> None:
        declared = self._declared["parameter"]
        missing = sorted(name for name, each in declared.items() if each.value is None and name not in self._given)
        if missing or self._given.keys() - declared.keys():
            raise self._template.error(f"{missing} are missing, {sorted(self._given.keys() - declared.keys())} unknown")
        for name, each in declared.items():
            value, kind = self._parameter(name), text(each.node.named_children[1])
            if isinstance(value, Reference):
                continue
            rules = {text(child(call, "function")): self._values(call) for call in each.decorators}
            size = value if isinstance(value, int) else len(value)
            [low] = rules.get("minValue") or rules.get("minLength") or [size]
            [high] = rules.get("maxValue") or rules.get("maxLength") or [size]
            [allowed] = rules.get("allowed") or [[value]]
            if not isinstance(value, _TYPES[kind]) or not low <= size <= high or value not in allowed:
                raise self._template.error(f"{value!r} is not allowed for {name}")

    def _parameter(self, name: str) -> Any:
        return self._given[name] if name in self._given else self.value(self._declared["parameter"][name].value)

    def _module(self, name: str) -> Deployment | None:
        if name not in self._modules:
            declared = self._declared["module"][name]
            body = self._chosen(declared.value)
            path = self._template.path.parent / self.value(declared.text)
            self._modules[name] = None if body is None else deploy(path, body.get("params", {}))
        return self._modules[name]

    def _chosen(self, node: Node | None) -> Any:
        """A body; None where its condition fails, a list where there is a loop."""
        assert node is not None
        if node.type != "if_statement":
            return self.value(node)
        condition, body = node.named_children
        return self.value(body) if self.value(condition) else None

    def value(self, node: Node | None, inner: Mapping[str, Any] = _NOTHING) -> Any:
        """What the expression comes to; `inner` are the variables of loops and lambdas around it."""
        assert node is not None

        def part(name: str) -> Any:
            return self.value(child(node, name), inner)

        match node.type:
            case "string":
                return self._string(node, inner)
            case "number":
                return int(text(node))
            case "boolean":
                return text(node) == "true"
            case "null":
                return None
            case "identifier":
                return self._name(text(node), inner)
            case "parenthesized_expression":
                return self.value(node.named_children[0], inner)
            case "object":
                return {
                    text(key) if key.type == "identifier" else self.value(key, inner): self.value(item, inner)
                    for key, item in pairs(node)
                }
            case "array":
                return [self.value(item, inner) for item in node.named_children if item.type != "comment"]
            case "for_statement":
                variable, over, body = node.named_children
                return [self.value(body, {**inner, text(variable): item}) for item in self.value(over, inner)]
            case "ternary_expression":
                return part("consequence" if part("condition") else "alternative")
            case "unary_expression":
                return not part("argument")
            case "binary_expression":
                return _OPERATORS[text(child(node, "operator"))](part("left"), part("right"))
            case "member_expression":
                return self._member(part("object"), text(child(node, "property")))
            case "call_expression":
                return self._call(node, inner)
            case other:
                raise self._template.error(f"{other} at line {node.start_point.row + 1} is not known here")

    def _values(self, call: Node, inner: Mapping[str, Any] = _NOTHING) -> list[Any]:
        return [self.value(each, inner) for each in arguments(call)]

    def _string(self, node: Node, inner: Mapping[str, Any]) -> Any:
        parts = [
            text(part).replace("\\'", "'")
            if part.type != "interpolation"
            else self.value(part.named_children[0], inner)
            for part in node.named_children
        ]
        # A string that is one reference stays one.
        return parts[0] if len(parts) == 1 else "".join(map(str, parts))

    def _name(self, name: str, inner: Mapping[str, Any]) -> Any:
        if name in inner:
            return inner[name]
        if name in self._declared["parameter"]:
            return self._parameter(name)
        if name in self._declared["variable"]:
            return self.value(self._declared["variable"][name].value)
        if name in self._declared["resource"]:
            return Reference(name)
        deployed = self._module(name)
        if deployed is None:
            raise self._template.error(f"the module {name} is asked for outputs, but not deployed")
        return {"outputs": deployed.outputs}

    def _member(self, owner: Any, name: str) -> Any:
        if isinstance(owner, Reference):
            declared = self._declared["resource"].get(owner.path)
            if declared is not None and name == "name":
                return self._chosen(declared.value)["name"]
            return Reference(f"{owner.path}.{name}")
        if name not in owner:
            raise self._template.error(f"there is no {name} among {sorted(owner)}")
        return owner[name]

    def _call(self, node: Node, inner: Mapping[str, Any]) -> Any:
        name = text(child(node, "function"))
        if name == "map":
            over, function = arguments(node)
            parameter, body = function.named_children
            return [self.value(body, {**inner, text(parameter): item}) for item in self.value(over, inner)]
        if name == "loadTextContent":
            [path] = self._values(node, inner)
            return (self._template.path.parent / path).read_text("utf-8")
        return _CALLED[name](*self._values(node, inner))


def _union(*parts: dict[str, Any]) -> dict[str, Any]:
    return {key: value for part in parts for key, value in part.items()}


def _stable(*parts: Any) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(map(str, parts))))


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": lambda left, right: left == right,
    ">": lambda left, right: left > right,
}
_CALLED: dict[str, Callable[..., Any]] = {
    "concat": lambda *lists: [item for each in lists for item in each],
    "empty": lambda value: not value,
    "guid": _stable,
    "items": lambda value: [{"key": key, "value": value[key]} for key in sorted(value)],
    "listKeys": lambda id, version: Reference(f"keys({id})"),
    "replace": lambda text, old, new: text.replace(old, new),
    "resourceGroup": lambda: Reference("resourceGroup"),
    "split": lambda text, separator: text.split(separator),
    "subscription": lambda: Reference("subscription"),
    "subscriptionResourceId": lambda kind, name: f"/subscriptions/s/providers/{kind}/{name}",
    "toLower": lambda text: text.lower(),
    "union": _union,
    "uniqueString": lambda *parts: _stable(*parts).replace("-", "")[:13],
}
assert _CALLED.keys() | {"loadTextContent", "map"} == FUNCTIONS
