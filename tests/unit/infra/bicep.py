"""Bicep files read and evaluated: what a deployment with given parameters would ask Azure for.

tree-sitter's grammar gives the syntax; here names are resolved, modules are entered and expressions computed. What
only Azure knows at run time, such as an endpoint, stays a `Reference`. A name, parameter, output or function that
does not exist is an error, as it is to the compiler, and so is a parameter or variable that nobody uses.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

_PARSER = Parser(Language(tree_sitter_bicep.language()))
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "int": (int,),
    "bool": (bool,),
    "object": (dict,),
    "array": (list,),
}


class BicepError(Exception):
    """What the compiler, or the deployment, would refuse."""


class Reference(str):
    """A value that is known when Azure has made the resource; its text says what it is, in brackets."""

    def __new__(cls, path: str) -> Reference:
        made = super().__new__(cls, f"[{path}]")
        made.path = path
        return made

    path: str

    def member(self, name: str) -> Reference:
        return Reference(f"{self.path}.{name}")


@dataclass(frozen=True)
class Parameter:
    type: str
    default: Node | None
    decorators: dict[str, list[Any]]


@dataclass(frozen=True)
class Resource:
    """A resource that the deployment asks for; `module` is the file's name without its ending."""

    module: str
    symbol: str
    type: str
    body: dict[str, Any]

    @property
    def properties(self) -> dict[str, Any]:
        return self.body["properties"]


@dataclass
class Deployment:
    """What one template comes to: its resources with those of its modules, and its outputs."""

    resources: list[Resource] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    def of_type(self, name: str) -> list[Resource]:
        return [each for each in self.resources if each.type.partition("@")[0] == name]

    def one(self, name: str) -> Resource:
        [found] = self.of_type(name)
        return found


class Template:
    """One Bicep file and what it declares."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.parameters: dict[str, Parameter] = {}
        self.nodes: dict[str, dict[str, Node]] = {"variable": {}, "resource": {}, "module": {}, "output": {}}
        root = _PARSER.parse(path.read_bytes()).root_node
        if root.has_error:
            raise BicepError(
                f"{path.name}: not valid Bicep, at {[node.start_point for node in _all(root) if node.is_error or node.is_missing]}"
            )
        decorators: dict[str, list[Any]] = {}
        for node in root.named_children:
            kind = node.type.removesuffix("_declaration")
            if node.type == "decorators":
                decorators = dict(map(self._decorator, node.named_children))
                continue
            if kind == "parameter":
                self._declare_parameter(node, decorators)
            elif kind in self.nodes:
                self.nodes[kind][_declared(node)] = node
            elif node.type not in ("comment", "target_scope_assignment"):
                raise BicepError(f"{path.name}: {node.type} is not known here")
            if node.type != "comment":
                decorators = {}
        self._check_names(root)

    def _check_names(self, root: Node) -> None:
        """Of the whole file, branches that are not taken included."""
        declared = self.parameters.keys() | set().union(*self.nodes.values())
        used, local = set[str](), set[str]()
        for node in _all(root):
            parent = node.parent
            if node.type == "loop_variable" or (
                parent and parent.type == "for_statement" and node == parent.named_children[0]
            ):
                local.add(_text(node))
            elif node.type != "identifier" or parent is None:
                continue
            elif parent.type == "lambda_expression" and node == parent.named_children[0]:
                local.add(_text(node))
            elif parent.type == "call_expression" and node == parent.child_by_field_name("function"):
                if _text(node) not in _FUNCTIONS.keys() | {"map"} | _DECORATORS:
                    raise BicepError(f"{self.path.name}: the function {_text(node)} is not known here")
            elif (not parent.type.endswith("_declaration") and not _is_key(node, parent)) or (parent.type.endswith("_declaration") and node != _first(parent, "identifier")):
                used.add(_text(node))
        if unknown := sorted(used - declared - local):
            raise BicepError(f"{self.path.name}: {unknown} are not declared")
        if unused := sorted((self.parameters.keys() | self.nodes["variable"].keys()) - used):
            raise BicepError(f"{self.path.name}: nobody uses {unused}")

    def _decorator(self, node: Node) -> tuple[str, list[Any]]:
        call = node.named_children[0]
        scope = Evaluation(self, {})
        return _text(_child(call, "function")), [scope.value(each) for each in _arguments(call)]

    def _declare_parameter(self, node: Node, decorators: dict[str, list[Any]]) -> None:
        named = node.named_children
        default = named[2] if len(named) > 2 else None
        self.parameters[_declared(node)] = Parameter(_text(named[1]), default, decorators)


class Evaluation:
    """A template with values for its parameters; everything else is computed when it is asked for."""

    def __init__(self, template: Template, given: Mapping[str, Any]) -> None:
        self.template = template
        self._given = given
        self._values: dict[str, Any] = {}
        self._modules: dict[str, Deployment | None] = {}

    def deploy(self) -> Deployment:
        """Raises BicepError for what does not fit together."""
        nodes, result = self.template.nodes, Deployment()
        self._check_parameters()
        for symbol in nodes["module"]:
            if (deployed := self._module(symbol)) is not None:
                result.resources += deployed.resources
        for symbol, node in nodes["resource"].items():
            if all(child.type != "existing" for child in node.children):
                name = self.template.path.stem
                kind = self.value(_first(node, "string"))
                result.resources += [Resource(name, symbol, kind, body) for body in self._bodies(node)]
        result.outputs = {name: self.value(_last(node)) for name, node in nodes["output"].items()}
        return result

    def _check_parameters(self) -> None:
        parameters = self.template.parameters
        if unknown := sorted(self._given.keys() - parameters.keys()):
            self._fail(f"there are no parameters {unknown}")
        for name, parameter in parameters.items():
            if name not in self._given and parameter.default is None:
                self._fail(f"the parameter {name} is missing")
            value = self._parameter(name)
            if isinstance(value, Reference):
                continue
            if not isinstance(value, _TYPES[parameter.type]):
                self._fail(f"the parameter {name} is no {parameter.type}: {value!r}")
            limits = {key: arguments[0] for key, arguments in parameter.decorators.items() if arguments}
            size = value if isinstance(value, int) else len(value)
            low = limits.get("minValue", limits.get("minLength", size))
            high = limits.get("maxValue", limits.get("maxLength", size))
            if not low <= size <= high or value not in limits.get("allowed", [value]):
                self._fail(f"{value!r} is not allowed for the parameter {name}")

    def _parameter(self, name: str) -> Any:
        if name in self._given:
            return self._given[name]
        default = self.template.parameters[name].default
        return None if default is None else self.value(default)

    def _bodies(self, node: Node) -> list[dict[str, Any]]:
        """The bodies of a resource: none if its condition fails, one, or one for each turn of its loop."""
        body = _last(node)
        if body.type == "for_statement":
            return self._loop(body, {})
        return [] if (found := self._if(body)) is None else [found]

    def _if(self, node: Node) -> Any:
        if node.type != "if_statement":
            return self.value(node)
        condition, body = node.named_children
        return self.value(body) if self.value(condition) else None

    def _module(self, symbol: str) -> Deployment | None:
        if symbol not in self._modules:
            node = self.template.nodes["module"][symbol]
            body = self._if(_last(node))
            deployed = None
            if body is not None:
                path = self.template.path.parent / self.value(_first(node, "string"))
                deployed = Evaluation(Template(path), body.get("params", {})).deploy()
            self._modules[symbol] = deployed
        return self._modules[symbol]

    def value(self, node: Node, local: Mapping[str, Any] | None = None) -> Any:
        """What the expression comes to; `local` are the variables of loops and lambdas around it."""
        names = local or {}

        def value(child: Node) -> Any:
            return self.value(child, names)

        match node.type:
            case "string":
                return self._string(node, names)
            case "number":
                return int(_text(node))
            case "boolean":
                return _text(node) == "true"
            case "null":
                return None
            case "identifier":
                return self._name(_text(node), names)
            case "parenthesized_expression" | "nullable_expression":
                return value(node.named_children[0])
            case "object":
                properties = [each for each in node.named_children if each.type == "object_property"]
                pairs = [(each.named_children[0], each.named_children[-1]) for each in properties]
                return {_text(key) if key.type == "identifier" else value(key): value(item) for key, item in pairs}
            case "array":
                return [value(item) for item in node.named_children if item.type != "comment"]
            case "for_statement":
                return self._loop(node, names)
            case "ternary_expression":
                chosen = "consequence" if value(_child(node, "condition")) else "alternative"
                return value(_child(node, chosen))
            case "unary_expression":
                return not value(_child(node, "argument"))
            case "binary_expression":
                left, right = value(_child(node, "left")), value(_child(node, "right"))
                return _OPERATORS[_text(_child(node, "operator"))](left, right)
            case "member_expression":
                return self._member(value(_child(node, "object")), _text(_child(node, "property")))
            case "call_expression":
                return self._call(node, names)
            case _:
                self._fail(f"{node.type} at line {node.start_point.row + 1} is not known here")

    def _string(self, node: Node, names: Mapping[str, Any]) -> Any:
        parts = [
            _unescaped(_text(part)) if part.type != "interpolation" else self.value(part.named_children[0], names)
            for part in node.named_children
        ]
        return parts[0] if len(parts) == 1 else "".join(map(str, parts))

    def _name(self, name: str, local: Mapping[str, Any]) -> Any:
        nodes = self.template.nodes
        if name in local:
            return local[name]
        if name in self.template.parameters:
            return self._parameter(name)
        if name in nodes["variable"]:
            if name not in self._values:
                self._values[name] = self.value(_last(nodes["variable"][name]))
            return self._values[name]
        if name in nodes["resource"]:
            return Reference(name)
        if name in nodes["module"]:
            if (deployed := self._module(name)) is None:
                self._fail(f"the module {name} is asked for outputs, but is not deployed")
            return {"outputs": deployed.outputs}
        self._fail(f"{name} has no value")

    def _member(self, owner: Any, name: str) -> Any:
        if isinstance(owner, Reference):
            node = self.template.nodes["resource"].get(owner.path)
            body = None if node is None or name != "name" else self._if(_last(node))
            return owner.member(name) if body is None else body["name"]
        if name not in owner:
            self._fail(f"there is no {name} among {sorted(owner)}")
        return owner[name]

    def _call(self, node: Node, names: Mapping[str, Any]) -> Any:
        name, arguments = _text(_child(node, "function")), _arguments(node)
        if name == "map":
            over, body = arguments
            parameter, expression = body.named_children
            return [self.value(expression, {**names, _text(parameter): item}) for item in self.value(over, names)]
        return _FUNCTIONS[name](*(self.value(each, names) for each in arguments))

    def _loop(self, node: Node, names: Mapping[str, Any]) -> list[Any]:
        variable, over, body = node.named_children
        return [self.value(body, {**names, _text(variable): item}) for item in self.value(over, names)]

    def _fail(self, text: str) -> Any:
        raise BicepError(f"{self.template.path.name}: {text}")


def deploy(path: Path, **parameters: Any) -> Deployment:
    return Evaluation(Template(path), parameters).deploy()


def _union(*parts: Any) -> Any:
    merged: dict[str, Any] = {}
    for part in parts:
        merged |= part
    return merged


def _stable(*parts: Any) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(map(str, parts))))


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": lambda left, right: left == right,
    ">": lambda left, right: left > right,
}
_DECORATORS = {
    "allowed",
    "batchSize",
    "description",
    "maxLength",
    "maxValue",
    "metadata",
    "minLength",
    "minValue",
    "secure",
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
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


def _all(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _all(child)


def _is_key(node: Node, parent: Node) -> bool:
    return parent.type == "object_property" and node == parent.named_children[0]


def _text(node: Node) -> str:
    return (node.text or b"").decode()


def _unescaped(text: str) -> str:
    return text.replace("\\'", "'")


def _child(node: Node, name: str) -> Node:
    found = node.child_by_field_name(name)
    assert found is not None, f"{node.type} has no {name}"
    return found


def _first(node: Node, kind: str) -> Node:
    return next(child for child in node.named_children if child.type == kind)


def _last(node: Node) -> Node:
    return node.named_children[-1]


def _declared(node: Node) -> str:
    return _text(_first(node, "identifier"))


def _arguments(call: Node) -> list[Node]:
    return _child(call, "arguments").named_children
