"""One node: what the client sent, and the layer it stands for."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.catalog.catalog import Entry, catalog
from core.graphs import literals, params
from core.graphs.checked import CheckedNode
from core.graphs.objects import convert_config
from core.graphs.problems import Problems

INPUTS = ("Input", "InputLayer")
MODELS = ("Functional", "Sequential", "Model")
_LONGEST_ID = 200
_SHAPES = ("batch_input_shape", "batch_shape", "input_shape", "input_dim", "shape")


@dataclass(frozen=True)
class Node:
    """A node whose outer form is right: texts are texts, objects are objects."""

    id: str
    type: str
    label: str
    params: Mapping[str, Any]
    notes: Mapping[str, Any]

    @property
    def title(self) -> str:
        """How a sentence names it: `Dense 'h2'`."""
        label = self.label if len(self.label) <= 40 else self.label[:39] + "…"
        return f"{self.type} '{label or self.id}'"

    @property
    def is_input(self) -> bool:
        return self.type in INPUTS

    @property
    def is_model(self) -> bool:
        return self.type in MODELS


def read_nodes(values: Any, problems: Problems) -> list[Node]:
    """The nodes of right form, in order; what is wrong with the others goes to the problems."""
    if not isinstance(values, list):
        problems.graph("Send the nodes as a list.")
        return []
    if not values:
        problems.graph("The graph is empty: add at least one layer.")
    nodes: list[Node] = []
    seen: set[str] = set()
    for position, value in enumerate(values, 1):
        node = _read(position, value, problems)
        if node is None:
            continue
        if node.id in seen:
            problems.graph(f"Two nodes have the id {params.shown(node.id)}; ids must be unique in a graph.")
            continue
        seen.add(node.id)
        nodes.append(node)
    return nodes


def _read(position: int, value: Any, problems: Problems) -> Node | None:
    if not isinstance(value, dict):
        problems.graph(f"Node {position} is not an object.")
        return None
    node_id = value.get("id")
    if not isinstance(node_id, str) or not node_id or len(node_id) > _LONGEST_ID:
        problems.graph(f"Node {position} needs an id: a text of 1 to {_LONGEST_ID} characters.")
        return None
    type_name = value.get("type")
    if not isinstance(type_name, str) or not type_name.strip():
        problems.node(node_id, "The node has no type; give the class name of a Keras layer, e.g. Dense.")
        return None
    objects: dict[str, Mapping[str, Any]] = {}
    for key in ("params", "notes", "position"):
        part = value.get(key)
        if part is not None and not isinstance(part, dict):
            problems.node(node_id, f"{key} must be an object.")
        objects[key] = part if isinstance(part, dict) else {}
    label = value.get("label")
    if label is not None and not isinstance(label, str):
        problems.node(node_id, "label must be text.")
    text = label if isinstance(label, str) else ""
    return Node(node_id, type_name.strip(), text, objects["params"], objects["notes"])


def check_node(node: Node, problems: Problems) -> CheckedNode | None:
    """The node with its parameters converted, not yet named; None where its type already is the problem."""
    if node.is_model:
        return _check_model(node, problems)
    if node.type.startswith("ops."):
        return _check_operation(node, problems)
    entry = find_layer(node.type)
    if entry is None:
        problems.node(node.id, _unknown_type(node.type))
        return None
    if entry["refused"] or entry["deprecated"]:
        problems.node(node.id, entry["refused"] or f"{node.type} is deprecated; choose another layer.")
        return None
    # What a person says goes before what the import noted.
    config = {**_noted(node), **{name: value for name, value in node.params.items() if not literals.is_unset(value)}}
    converted, extras, wrong = convert_config(entry, config)
    for name, text in wrong.items():
        problems.param(node.id, name, text)
    checked: CheckedNode = {"id": node.id, "type": entry["name"], "label": node.label, "name": "", "params": converted}
    extras |= _deliberate_nones(node, entry)
    if extras:
        checked["extras"] = extras
    if node.is_input:
        _check_input(node, converted, problems)
    return checked


def find_layer(type_name: str) -> Entry | None:
    """The catalogue's entry of a type or alias (`MaxPool2D`)."""
    return catalog().find("layers", type_name)


def call_arguments(node: Node) -> list[str]:
    """The names of what the layer's call takes, in order."""
    if node.is_model:
        return ["inputs", "training", "mask"]
    entry = find_layer(node.type) or catalog().find("operations", node.type)
    return list(entry["call_arguments"]) if entry is not None else []


def _check_model(node: Node, problems: Problems) -> CheckedNode:
    """A nested model; of parameters it has only whether it is frozen as a whole."""
    checked: CheckedNode = {"id": node.id, "type": node.type, "label": node.label, "name": "", "params": {}}
    said = node.params.get("trainable")
    try:
        frozen = not params.as_bool(_noted(node).get("trainable", True) if literals.is_unset(said) else said)
    except params.BadValue as error:
        problems.param(node.id, "trainable", str(error))
        return checked
    return {**checked, "extras": {"trainable": False}} if frozen else checked


def _noted(node: Node) -> dict[str, Any]:
    """`trainable` and `dtype` from `notes.keras`."""
    noted = node.notes.get("keras")
    if not isinstance(noted, dict):
        return {}
    return {key: noted[key] for key in ("trainable", "dtype") if key in noted}


def _deliberate_nones(node: Node, entry: Entry) -> dict[str, Any]:
    """Parameters that `notes.keras` sets to null although their default is something else."""
    noted = node.notes.get("keras")
    if not isinstance(noted, dict):
        return {}
    specs = catalog().parameters(entry)
    return {
        name: None
        for name, value in noted.items()
        if value is None and name in specs and not specs[name]["required"] and specs[name].get("default") is not None
    }


def _check_operation(node: Node, problems: Problems) -> CheckedNode | None:
    """An operation such as `ops.numpy.Add`; its parameters are plain values, as Keras wrote them."""
    entry = catalog().find("operations", node.type)
    if entry is None:
        problems.node(node.id, f"There is no operation {params.shown(node.type)}, or it carries code.")
        return None
    specs = {item["name"]: item for item in entry["parameters"]}
    kept = {name: value for name, value in node.params.items() if name in specs and _is_data(value)}
    for name, spec in specs.items():
        if "default" not in spec and name not in kept:
            problems.param(node.id, name, f"{name} is required.")
    return {"id": node.id, "type": node.type, "label": node.label, "name": "", "params": kept}


def _is_data(value: Any, depth: int = 0) -> bool:
    """Numbers, texts and lists of them; no objects, which could name a class."""
    if isinstance(value, list):
        return depth < 8 and all(_is_data(item, depth + 1) for item in value)
    return value is None or isinstance(value, str | bool | int | float)


def _check_input(node: Node, converted: dict[str, Any], problems: Problems) -> None:
    """Puts the shape of an Input into one form, without the batch unless `batch_shape` is given."""
    for name in ("shape", "batch_shape"):
        if isinstance(converted.get(name), int):
            converted[name] = [converted[name]]
    if not converted.get("batch_shape"):
        converted.pop("batch_shape", None)
    else:
        converted.pop("shape", None)
        converted.pop("batch_size", None)
    wrong = problems.concerns(node.id)
    if "shape" not in converted and "batch_shape" not in converted and not wrong:
        problems.param(node.id, "shape", "Say what goes in: one sample's shape, e.g. (10,) for 10 columns.")
    for name in ("shape", "batch_shape"):
        problem = _wrong_shape(converted.get(name))
        if problem:
            problems.param(node.id, name, problem)


def own_input_shape(node: Node, problems: Problems) -> list[int | None] | None:
    """The batch shape that a first layer carries for an input of its own, or None.

    The names rank batch_input_shape > batch_shape > input_shape > input_dim > shape; one that is a
    parameter of the layer itself, such as Embedding's input_dim, is not a shape.
    """
    entry = find_layer(node.type)
    declared = catalog().parameters(entry) if entry is not None else {}
    spec = {"name": "shape", "param_type": "tuple_int", "enum": None, "value_range": {"min": 0}}
    for name in _SHAPES:
        value = node.params.get(name)
        if name in declared or literals.is_unset(value):
            continue
        try:
            shape = params.convert(spec, value)
        except params.BadValue as error:
            problems.param(node.id, name, str(error))
            return None
        sizes = shape if isinstance(shape, list) else [shape]
        problem = _wrong_shape(sizes)
        if problem:
            problems.param(node.id, name, problem)
            return None
        return sizes if name.startswith("batch") else [None, *sizes]
    return None


def _wrong_shape(shape: Any) -> str | None:
    if shape is None:
        return None
    if any(isinstance(size, list) for size in shape):
        return "A shape is one list of sizes, e.g. (28, 28, 1)."
    if len(shape) > 16:
        return f"A shape has at most 16 sizes; this one has {len(shape)}."
    if any(size is not None and size > 2**31 - 1 for size in shape):
        return "A size in the shape is too large."
    return None


def _unknown_type(type_name: str) -> str:
    names = [entry["name"] for entry in catalog().entries("layers")]
    lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(type_name.lower()[:100], list(lower), n=1)
    hint = f" Did you mean {lower[near[0]]}?" if near else " Choose one from the palette."
    return f"There is no Keras layer {params.shown(type_name)}.{hint}"
