"""A drawing as a Python file that a person can run, read and go on from."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Mapping
from typing import Any

from core.catalog.catalog import catalog
from core.graphs.naming import slug
from core.graphs.python_code import Invoke, Name, quoted, statement
from core.graphs.script_training import training_code

_MODULES = {"keras.layers": "layers", "keras": "keras"}
_RESERVED = {"keras", "layers", "json", "np", "sys", "model", "main", "load_data"}


def file_name(name: str) -> str:
    """The download's name: lower case, digits and `-`."""
    return re.sub(r"[-_.]+", "-", slug(name.lower(), "model")).strip("-") + ".py"


def write_script(checked: Mapping[str, Any], name: str, facts: Mapping[str, Any]) -> str:
    """The script for a checked graph; `facts` is what compiling it with `config` told."""
    model_name = json.loads(facts["model_json"])["config"]["name"]
    functions = _Functions(facts["output_counts"])
    doc = "The same model, layer by layer."
    body = functions.model_function("build_model_py", checked, "Functional", Name("MODEL_NAME"), doc, "")
    uses_layers = any("layers." in text for text in [*functions.written, body])
    head = _HEAD.format(
        doc=_docstring(name),
        layers="from keras import layers\n" if uses_layers else "",
        name=quoted(model_name),
        model_json=json.dumps(facts["model_json"]),
    )
    return head + "\n".join([*functions.written, body, training_code(checked, facts)])


_HEAD = '''"""{doc}"""

import sys

import keras
import numpy as np
{layers}
MODEL_NAME = {name}
# What model.to_json() gives, on one line.
# fmt: off
MODEL_JSON = {model_json}
# fmt: on


def build_model_json():
    """The model from its JSON."""
    return keras.models.model_from_json(MODEL_JSON)
'''


def _docstring(name: str) -> str:
    safe = re.sub(r"[^\x20-\x7e]+", "?", name).replace("\\", "/").replace('"', "'").strip()
    return f"{safe[:60] or 'model'}: a Keras model. Run it to see the summary; give it a data file to train."


class _Functions:
    """Writes one function for each model, nested ones first."""

    def __init__(self, output_counts: Mapping[str, int]) -> None:
        self.written: list[str] = []
        self._counts = output_counts
        self._names: set[str] = {"build_model_json", "build_model_py"}

    def nested(self, model: Mapping[str, Any], type_name: str, name: str, prefix: str) -> str:
        """Writes the function of a nested model and returns its name."""
        function = self._free(f"build_{_identifier(name)}")
        doc = f"The {type_name} model {name}."
        self.written.append(self.model_function(function, model, type_name, name, doc, f"{prefix}{name}/"))
        return function

    def model_function(
        self, function: str, model: Mapping[str, Any], type_name: str, name: Any, doc: str, prefix: str
    ) -> str:
        body = _Body(self, model, self._counts, prefix)
        lines = body.sequential(name) if type_name == "Sequential" else body.functional(name)
        doc = doc.replace("\\", "/").replace('"', "'")
        return "\n".join(["\n", f"def {function}():", f'    """{doc}"""', *lines])

    def _free(self, wish: str) -> str:
        name, number = wish, 1
        while name in self._names:
            number += 1
            name = f"{wish}_{number}"
        self._names.add(name)
        return name


class _Body:
    """The statements that build one model."""

    def __init__(self, functions: _Functions, model: Mapping[str, Any], counts: Mapping[str, int], prefix: str) -> None:
        self._functions = functions
        self._model = model
        self._counts = counts
        self._prefix = prefix
        self._nodes: dict[str, Mapping[str, Any]] = {node["id"]: node for node in model["nodes"]}
        self._taken = set(_RESERVED)
        self._variables: dict[tuple[str, int], str] = {}
        self._inputs: list[tuple[list[Any], Name]] = []
        self._calls: dict[str, int] = {}
        for node_id, call in model["order"]:
            self._calls[node_id] = max(self._calls.get(node_id, 0), call + 1)

    def functional(self, name: Any) -> list[str]:
        lines: list[str] = []
        layers: dict[str, str] = {}
        for node_id, call in self._model["order"]:
            node = self._nodes[node_id]
            shared = self._calls[node_id] > 1
            if node["type"] in ("Input", "InputLayer"):
                lines.append(self._input(node_id, node, [*node["params"].items()], node["name"]))
                continue
            if "own_input" in node:
                lines.append(self._input(node_id, node, [("batch_shape", node["own_input"])], node["name"] + "_input"))
            made_first = (shared or _is_frozen(node)) and node_id not in layers
            if made_first:
                layers[node_id] = self._free(_identifier(node["name"]) + "_layer")
                lines.append(statement(f"{layers[node_id]} = ", self._made(node), 1))
            variable = self._free(_identifier(node["name"]) + (f"_{call}" if call else ""))
            lines.append(statement(f"{variable} = ", self._called(node_id, call, layers.get(node_id)), 1))
            self._variables[node_id, call] = variable
            if made_first and _is_frozen(node):
                # After the call: a layer may make more layers only then.
                lines.append(f"    {layers[node_id]}.trainable = False")
        return [*lines, self._end(name)]

    def sequential(self, name: Any) -> list[str]:
        made = [
            Invoke("keras.Input", (), [*_values(node["params"]), ("name", node["name"])])
            if node["type"] in ("Input", "InputLayer")
            else self._made(node)
            for node in (self._nodes[node_id] for node_id, _ in self._model["order"])
        ]
        model = Invoke("keras.Sequential", [made], [("name", name)])
        frozen = [node["name"] for node in self._nodes.values() if _is_frozen(node)]
        if not frozen:
            return [statement("return ", model, 1)]
        lines = [f"    model.get_layer({quoted(layer)}).trainable = False" for layer in frozen]
        return [statement("model = ", model, 1), *lines, "    return model"]

    def _input(self, node_id: str, node: Mapping[str, Any], params: list[tuple[str, Any]], name: str) -> str:
        variable = self._free(_identifier(name))
        # A first layer without an Input node is fed by the variable made here.
        self._variables[node_id, 0] = variable
        self._inputs.append((node.get("input_path", [len(self._inputs)]), Name(variable)))
        said = {key: value for key, value in params if (key, value) != ("dtype", "float32")}
        return statement(f"{variable} = ", Invoke("keras.Input", (), [*_values(said), ("name", name)]), 1)

    def _made(self, node: Mapping[str, Any]) -> Invoke:
        """The constructor call of a node's layer."""
        if "model" in node:
            return Invoke(self._functions.nested(node["model"], node["type"], node["name"], self._prefix))
        extras = {key: value for key, value in node.get("extras", {}).items() if key != "trainable"}
        if node["type"].startswith("ops."):
            _, module, class_name = node["type"].split(".")
            return Invoke(f"keras.src.ops.{module}.{class_name}", (), _values(node["params"]))
        arguments = {key: self._value(value) for key, value in {**node["params"], **extras}.items()}
        first = _first_required(node["type"])
        args = [_plain(arguments.pop(first))] if first in arguments else []
        return Invoke(f"layers.{node['type']}", args, [*_values(arguments), ("name", node["name"])])

    def _value(self, value: Any) -> Any:
        """A parameter's value with its objects as constructor calls."""
        if isinstance(value, list):
            items = [self._value(item) for item in value]
            return items if any(isinstance(item, Invoke) for item in items) else tuple(items)
        if not isinstance(value, dict):
            return value
        extras = value.get("extras", {})
        if "model" in value:
            name = extras.get("name", value["class_name"].lower())
            return Invoke(self._functions.nested(value["model"], value["class_name"], name, self._prefix))
        module = _MODULES.get(value["module"], value["module"])
        arguments = {key: self._value(item) for key, item in value["config"].items()}
        return Invoke(f"{module}.{value['class_name']}", (), [*_values(arguments), *_values(extras)])

    def _called(self, node_id: str, call: int, layer: str | None) -> Any:
        """The layer applied to what feeds it."""
        node = self._nodes[node_id]
        args, kwargs = self._arguments(node_id, call)
        if node["type"] == "ops.numpy.GetItem" and layer is None and isinstance(args[0], Name):
            return Name(f"{args[0].text}[{_index(args[1])}]")
        entry = catalog().find("operations", node["type"])
        if entry is not None and entry["function"] and layer is None:
            return Invoke(f"keras.ops.{entry['function']}", args, [*kwargs, *_values(node["params"])])
        if layer is not None:
            return Invoke(layer, args, kwargs)
        made = self._made(node)
        return Invoke(made.function, made.args, made.kwargs, args, kwargs)

    def _arguments(self, node_id: str, call: int) -> tuple[list[Any], list[tuple[str, Any]]]:
        node = self._nodes[node_id]
        gathered: dict[Any, list[tuple[list[Any] | None, Any]]] = {}
        for wire in self._model["edges"]:
            if wire["target"] == node_id and wire["call"] == call:
                tensor = self._tensor(wire["source"], wire["source_call"], wire["output"])
                gathered.setdefault(wire["argument"], []).append((wire["path"], tensor))
        if not gathered and "own_input" in node:
            gathered[0] = [(None, Name(self._variables[node_id, 0]))]
        filled: dict[Any, Any] = {key: _nested(items) for key, items in gathered.items()}
        given = (node.get("literals") or [{}] * (call + 1))[call : call + 1] or [{}]
        for key, value in given[0].get("args", {}).items():
            filled[int(key)] = value
        for key, value in given[0].get("kwargs", {}).items():
            filled[key] = value
        args = [filled[key] for key in sorted(key for key in filled if isinstance(key, int))]
        return args, [(key, value) for key, value in filled.items() if isinstance(key, str)]

    def _tensor(self, node_id: str, call: int, output: int) -> Name:
        variable = self._variables[node_id, call]
        node = self._nodes[node_id]
        if self._output_count(node) == 1:
            return Name(variable)
        if "model" in node:
            return Name(f"keras.tree.flatten({variable})[{output}]")
        return Name(f"{variable}[{output}]")

    def _output_count(self, node: Mapping[str, Any]) -> int:
        return self._counts.get(self._prefix + node["name"], 1)

    def _end(self, name: Any) -> str:
        used = {(wire["source"], wire["source_call"]) for wire in self._model["edges"]}
        named: list[tuple[list[Any], Any]] = []
        loose: list[Any] = []
        unused_inputs: list[Any] = []
        for node_id, call in self._model["order"]:
            node = self._nodes[node_id]
            if "outputs" in node:
                named += [
                    (item["path"], self._tensor(node_id, call, item["output"]))
                    for item in node["outputs"]
                    if item["call"] == call
                ]
            elif (node_id, call) not in used:
                tensors = [self._tensor(node_id, call, index) for index in range(self._output_count(node))]
                (unused_inputs if node["type"] in ("Input", "InputLayer") else loose).extend(tensors)
        if loose or not named:
            ordered = [tensor for _, tensor in sorted(named, key=_rank)] + loose
            named = [([index], tensor) for index, tensor in enumerate(ordered or unused_inputs)]
        model = Invoke("keras.Model", (), [("inputs", _ends(self._inputs)), ("outputs", _ends(named)), ("name", name)])
        return statement("return ", model, 1)

    def _free(self, wish: str) -> str:
        name, number = wish, 1
        while name in self._taken or keyword.iskeyword(name):
            number += 1
            name = f"{wish}_{number}"
        self._taken.add(name)
        return name


def _identifier(name: str) -> str:
    text = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lower() or "layer"
    return f"layer_{text}" if text[0].isdigit() else text


def _first_required(type_name: str) -> str:
    """The parameter that people give without its name: the first, where it is required."""
    entry = catalog().find("layers", type_name)
    first = entry["parameters"][0] if entry is not None and entry["parameters"] else None
    return first["name"] if first is not None and first["required"] else ""


def _is_frozen(node: Mapping[str, Any]) -> bool:
    return node.get("extras", {}).get("trainable") is False


def _values(params: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Parameters as keyword arguments; plain lists read better as the tuples they mean."""
    return [(key, _plain(value)) for key, value in params.items()]


def _plain(value: Any) -> Any:
    if isinstance(value, list) and not any(isinstance(item, Invoke) for item in value):
        return tuple(_plain(item) for item in value)
    return value


def _rank(item: tuple[list[Any], Any]) -> list[tuple[bool, Any]]:
    return [(isinstance(step, str), step) for step in item[0]]


def _nested(items: list[tuple[list[Any] | None, Any]]) -> Any:
    if all(path is None for path, _ in items):
        return items[0][1] if len(items) == 1 else [tensor for _, tensor in items]
    return _tree([(path or [], tensor) for path, tensor in items])


def _tree(items: list[tuple[list[Any], Any]]) -> Any:
    if len(items) == 1 and not items[0][0]:
        return items[0][1]
    groups: dict[Any, list[tuple[list[Any], Any]]] = {}
    for path, tensor in items:
        groups.setdefault(path[0], []).append((path[1:], tensor))
    if all(isinstance(step, str) for step in groups):
        return {step: _tree(inner) for step, inner in groups.items()}
    return [_tree(groups[step]) for step in sorted(groups)]


def _ends(items: list[tuple[list[Any], Any]]) -> Any:
    return items[0][1] if len(items) == 1 and items[0][0] in ([], [0]) else _tree(items)


def _index(value: Any) -> str:
    """The text between the brackets of `x[…]`, from slices as Keras writes them."""
    items = value if isinstance(value, list) else [value]
    return ", ".join(_index_item(item) for item in items)


def _index_item(item: Any) -> str:
    if isinstance(item, dict) and item.get("class_name") == "__slice__":
        start, stop, step = (item["config"].get(key) for key in ("start", "stop", "step"))
        text = f"{'' if start is None else start}:{'' if stop is None else stop}"
        return text if step is None else f"{text}:{step}"
    return "..." if isinstance(item, dict) else repr(item)
