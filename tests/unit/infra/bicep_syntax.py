"""Bicep files as tree-sitter's grammar reads them: what each declares, and that every name in it means something.

The grammar takes `a ? b : c.d` for `(a ? b : c).d`, so our files have members of outputs before the colon only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

_PARSER = Parser(Language(tree_sitter_bicep.language()))
_KINDS = ("parameter", "variable", "resource", "module", "output")
_DECORATORS = {
    "allowed", "batchSize", "description", "maxLength", "maxValue", "metadata", "minLength", "minValue", "secure",
}  # fmt: skip
FUNCTIONS = {
    "concat", "empty", "guid", "items", "listKeys", "loadTextContent", "map", "replace", "resourceGroup", "split",
    "subscription", "subscriptionResourceId", "toLower", "union", "uniqueString",
}  # fmt: skip


class BicepError(Exception):
    """What the compiler, or the deployment, would refuse."""


@dataclass(frozen=True)
class Declaration:
    """A parameter, variable, resource, module or output; `value` is None for a parameter without a default."""

    node: Node
    value: Node | None
    decorators: list[Node]

    @property
    def text(self) -> Node:
        """The string after the name: a resource's type, a module's path."""
        return first(self.node, "string")

    @property
    def exists_already(self) -> bool:
        return any(child.type == "existing" for child in self.node.children)


class Template:
    """One Bicep file. Raises BicepError for bad syntax, unknown names, and what is declared and never used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.declared: dict[str, dict[str, Declaration]] = {kind: {} for kind in _KINDS}
        root = _PARSER.parse(path.read_bytes()).root_node
        if root.has_error:
            places = [node.start_point for node in _all(root) if node.is_error or node.is_missing]
            raise self.error(f"not valid Bicep, at {places}")
        self._declare(root)
        self._check_names(root)

    def error(self, what: str) -> BicepError:
        return BicepError(f"{self.path.name}: {what}")

    def _declare(self, root: Node) -> None:
        decorators: list[Node] = []
        for node in root.named_children:
            kind = node.type.removesuffix("_declaration")
            if node.type == "decorators":
                decorators = [each.named_children[0] for each in node.named_children]
            elif kind in _KINDS:
                value = node.named_children[2] if kind == "parameter" and len(node.named_children) > 2 else None
                value = node.named_children[-1] if kind != "parameter" else value
                self.declared[kind][text(first(node, "identifier"))] = Declaration(node, value, decorators)
                decorators = []
            elif node.type not in ("comment", "target_scope_assignment"):
                raise self.error(f"{node.type} is not known here")

    def _check_names(self, root: Node) -> None:
        """In the whole file, branches that are not taken included."""
        known = set[str]().union(*self.declared.values())
        inner, used = set[str](), set[str]()
        for node in _all(root):
            if node.type == "call_expression":
                if text(child(node, "function")) not in FUNCTIONS | _DECORATORS:
                    raise self.error(f"the function {text(child(node, 'function'))} is not known here")
            elif node.type in ("for_statement", "lambda_expression"):
                inner.add(text(node.named_children[0]))
            elif node.type == "identifier" and not _is_label(node):
                used.add(text(node))
        if unknown := sorted(used - known - inner):
            raise self.error(f"{unknown} are not declared")
        if unused := sorted((self.declared["parameter"].keys() | self.declared["variable"].keys()) - used):
            raise self.error(f"nobody uses {unused}")


def text(node: Node) -> str:
    return (node.text or b"").decode()


def child(node: Node, name: str) -> Node:
    found = node.child_by_field_name(name)
    assert found is not None, f"{node.type} has no {name}"
    return found


def first(node: Node, kind: str) -> Node:
    return next(child for child in node.named_children if child.type == kind)


def arguments(call: Node) -> list[Node]:
    return child(call, "arguments").named_children


def pairs(node: Node) -> Iterator[tuple[Node, Node]]:
    """Keys and values of an object."""
    for each in node.named_children:
        if each.type == "object_property":
            yield each.named_children[0], each.named_children[-1]


def _all(node: Node) -> Iterator[Node]:
    yield node
    for each in node.children:
        yield from _all(each)


def _is_label(node: Node) -> bool:
    """Whether an identifier gives a name (to a declaration, a property, a variable of a loop) or calls a function."""
    parent: Any = node.parent
    if parent.type == "call_expression":
        return node == child(parent, "function")
    labelled = parent.type in ("object_property", "for_statement", "lambda_expression")
    return (labelled or parent.type.endswith("_declaration")) and node == first(parent, "identifier")
