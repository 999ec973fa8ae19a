"""From a checked graph to a Keras model, on either backend.

Layers that fail do not stop the others, so that all problems of a graph are told at once.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from core.keras_worker.build_problems import explain
from core.keras_worker.errors import Refused

Call = tuple[str, int]

# An error of Keras about a user's layer may be of any of these types; anything else is our own mistake.
KERAS_ERRORS = (
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    AssertionError,
    MemoryError,
)


def build_model(checked: Mapping[str, Any], name: str = "model") -> Any:
    """A `keras.Model` with one layer for each node, named as the node's `name`.

    `checked` is what `check_graph` returned. Raises Refused with `{"nodes": {id: [sentence…]}}`.
    """
    # Keras follows a functional model from its outputs by recursion, some frames for each layer.
    sys.setrecursionlimit(max(sys.getrecursionlimit(), 1000 + 10 * len(checked["nodes"])))
    model = _Builder(checked).model("Functional", name)
    _freeze_wholly(model)
    return model


def _freeze_wholly(model: Any) -> None:
    """Frozen layers keep all their weights: also those of layers that they made only when they were called, as
    attention does, and those that spectral normalisation renews in every training step, frozen or not."""
    import keras

    for layer in model._flatten_layers():
        if not layer.trainable:
            # One by one: setting the layer itself to what it is already would reach none of them on TensorFlow.
            for inner in layer._flatten_layers(include_self=False):
                inner.trainable = False
            if isinstance(layer, keras.layers.SpectralNormalization):
                layer.call = _inference(layer.call)


def _inference(call: Any) -> Any:
    return lambda inputs, training=False: call(inputs, training=False)


def make_layer(node: Mapping[str, Any]) -> Any:
    """The layer of a checked node, not yet called. Raises what Keras raises, Refused for a nested model."""
    if "model" in node:
        model = _Builder(node["model"]).model(node["type"], node["name"])
        if node.get("extras", {}).get("trainable") is False:
            model.trainable = False
        return model
    if node["type"].startswith("ops."):
        return _make_operation(node)
    return _make(
        {"module": "keras.layers", "class_name": node["type"], "config": node["params"]},
        node["name"],
        node.get("extras", {}),
    )


def _make_operation(node: Mapping[str, Any]) -> Any:
    import keras.src.ops as ops

    _, module, class_name = node["type"].split(".")
    return getattr(getattr(ops, module), class_name)(**node["params"], name=node["name"])


def _make(value: Mapping[str, Any], name: str | None, extras: Mapping[str, Any]) -> Any:
    """An object of Keras from its checked form; the objects inside it are made first."""
    import keras

    if "model" in value:
        model = _Builder(value["model"]).model(value["class_name"], name or value["class_name"].lower())
        if extras.get("trainable") is False:
            model.trainable = False
        return model
    module = getattr(keras, value["module"].removeprefix("keras."))
    arguments = {key: _materialize(item, name) for key, item in value["config"].items()}
    kept = {key: item for key, item in extras.items() if key not in ("trainable", "name")}
    if name is not None:
        kept["name"] = name
    made = getattr(module, value["class_name"])(**arguments, **kept)
    if extras.get("trainable") is False:
        made.trainable = False
    return made


def _materialize(value: Any, owner: str | None) -> Any:
    """A parameter with its objects made; inner layers are named after their owner, never by a global count."""
    if isinstance(value, list):
        return [_materialize(item, f"{owner}_{index}") for index, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if value["module"] not in ("keras", "keras.layers"):
        return _make(value, None, {})
    extras = value.get("extras", {})
    return _make(value, extras.get("name") or f"{owner}_{value['class_name'].lower()}", extras)


class _Builder:
    """Builds one graph: makes the layers, calls them in order, gathers inputs and outputs."""

    def __init__(self, checked: Mapping[str, Any]) -> None:
        self._nodes: dict[str, Mapping[str, Any]] = {node["id"]: node for node in checked["nodes"]}
        self._order: list[Call] = [(node_id, call) for node_id, call in checked["order"]]
        self._feeds: dict[Call, list[Mapping[str, Any]]] = {}
        self._used: set[Call] = set()
        for wire in checked["edges"]:
            self._feeds.setdefault((wire["target"], wire["call"]), []).append(wire)
            self._used.add((wire["source"], wire["source_call"]))
        self._layers: dict[str, Any] = {}
        self._tensors: dict[Call, list[Any]] = {}
        self._inputs: list[tuple[list[Any], Any]] = []
        self._problems: dict[str, Any] = {}

    def model(self, type_name: str, name: str) -> Any:
        """The graph as a model of that class. Raises Refused."""
        import keras

        for node_id, node in self._nodes.items():
            self._make_layer(node_id, node)
        if type_name == "Sequential" and not self._problems:
            return self._sequential(name)
        for call in self._order:
            if call[0] in self._layers:
                self._call(call)
        if self._problems:
            raise Refused({"nodes": self._problems})
        try:
            return keras.Model(_packed(self._inputs), _packed(self._outputs()), name=name)
        except KERAS_ERRORS as error:
            raise Refused({"nodes": [explain(error, "The model", [])]}) from error

    def _make_layer(self, node_id: str, node: Mapping[str, Any]) -> None:
        try:
            if node["type"] in ("Input", "InputLayer"):
                self._layers[node_id] = None
                return
            self._layers[node_id] = make_layer(node)
        except Refused as refused:
            self._problems[node_id] = {"model": refused.problems}
        except KERAS_ERRORS as error:
            self._problems[node_id] = [explain(error, _title(node), [])]

    def _call(self, call: Call) -> None:
        """Calls a layer once its inputs are there; where they failed, it is passed over."""
        node = self._nodes[call[0]]
        layer = self._layers[call[0]]
        sources: list[tuple[str, Any]] = []
        try:
            if layer is None:
                outputs = self._input(node)
            elif "own_input" in node and call not in self._feeds:
                outputs = layer(self._own_input(node))
            else:
                gathered = self._arguments(call, sources)
                if gathered is None:
                    return
                args, kwargs = gathered
                outputs = layer(*args, **kwargs)
            self._tensors[call] = _flat(outputs)
            _refuse_empty(self._tensors[call])
        except KERAS_ERRORS as error:
            self._problems.setdefault(call[0], [explain(error, _title(node), sources)])

    def _input(self, node: Mapping[str, Any]) -> Any:
        import keras

        tensor = keras.Input(**node["params"], name=node["name"])
        self._inputs.append((node.get("input_path", [len(self._inputs)]), tensor))
        return tensor

    def _own_input(self, node: Mapping[str, Any]) -> Any:
        import keras

        tensor = keras.Input(batch_shape=node["own_input"], name=f"{node['name']}_input")
        self._inputs.append(([len(self._inputs)], tensor))
        return tensor

    def _arguments(self, call: Call, sources: list[tuple[str, Any]]) -> tuple[list[Any], dict[str, Any]] | None:
        """What the layer is called with, or None if a layer before it failed."""
        values: dict[int | str, list[tuple[list[Any] | None, Any]]] = {}
        for wire in self._feeds.get(call, ()):
            found = self._tensors.get((wire["source"], wire["source_call"]))
            if found is None:
                return None
            source = self._nodes[wire["source"]]
            if wire["output"] >= len(found):
                raise ValueError(f"{_title(source)} has {len(found)} outputs; there is no number {wire['output']}")
            tensor = found[wire["output"]]
            sources.append((_title(source), tensor.shape))
            values.setdefault(wire["argument"], []).append((wire["path"], tensor))
        constants = _constants(self._nodes[call[0]], call[1])
        filled = {**constants, **{key: _argument(items) for key, items in values.items()}}
        positions = sorted(key for key in filled if isinstance(key, int))
        if positions != list(range(len(positions))):
            raise ValueError(f"it gets no value for its argument number {len(positions) + 1}")
        return [filled[key] for key in positions], {key: item for key, item in filled.items() if isinstance(key, str)}

    def _outputs(self) -> list[tuple[list[Any], Any]]:
        """The tensors that go out: those that notes name, then those of layers that lead nowhere."""
        named: list[tuple[list[Any], Any]] = []
        loose: list[Any] = []
        unused_inputs: list[Any] = []
        for call in self._order:
            node, tensors = self._nodes[call[0]], self._tensors[call]
            if "outputs" in node:
                named += [
                    (item["path"], tensors[item["output"]])
                    for item in node["outputs"]
                    if item["call"] == call[1] and item["output"] < len(tensors)
                ]
            elif call not in self._used:
                (unused_inputs if self._layers[call[0]] is None else loose).extend(tensors)
        if named and not loose:
            return sorted(named, key=_position)
        tensors = [tensor for _, tensor in sorted(named, key=_position)] + loose
        return [([index], tensor) for index, tensor in enumerate(tensors or unused_inputs)]

    def _sequential(self, name: str) -> Any:
        import keras

        layers = [
            self._layers[node_id] or keras.Input(**self._nodes[node_id]["params"], name=self._nodes[node_id]["name"])
            for node_id, _ in self._order
        ]
        forks = any(len(wires) > 1 for wires in self._feeds.values()) or len(self._used) < len(self._order) - 1
        if forks or len(self._order) != len(self._nodes):
            raise Refused({"nodes": ["A Sequential model is one chain of layers without branches; use Functional."]})
        try:
            return keras.Sequential(layers, name=name)
        except KERAS_ERRORS as error:
            raise Refused({"nodes": [explain(error, "The model", [])]}) from error


def _refuse_empty(tensors: list[Any]) -> None:
    """Raises ValueError for an output with a size of 0, which Keras lets pass until it trains."""
    for tensor in tensors:
        if 0 in tensor.shape:
            raise ValueError(f"its output would be empty: {tuple(tensor.shape)}")


def _title(node: Mapping[str, Any]) -> str:
    return f"{node['type']} '{node['label'] or node['name']}'"


def _flat(outputs: Any) -> list[Any]:
    if isinstance(outputs, list | tuple):
        return [tensor for item in outputs for tensor in _flat(item)]
    if isinstance(outputs, dict):
        return [tensor for key in sorted(outputs) for tensor in _flat(outputs[key])]
    return [outputs]


def _argument(items: list[tuple[list[Any] | None, Any]]) -> Any:
    """One tensor bare, several as their list in edge order, or as their paths say."""
    if any(path is not None for path, _ in items):
        return _nested([(path or [], tensor) for path, tensor in items])
    return items[0][1] if len(items) == 1 else [tensor for _, tensor in items]


def _nested(items: list[tuple[list[Any], Any]]) -> Any:
    """Tensors put where their paths lead: positions make lists, names make dicts."""
    if len(items) == 1 and not items[0][0]:
        return items[0][1]
    groups: dict[Any, list[tuple[list[Any], Any]]] = {}
    for path, tensor in items:
        if not path:
            raise ValueError("some of its inputs share one place")
        groups.setdefault(path[0], []).append((path[1:], tensor))
    if all(isinstance(step, str) for step in groups):
        return {step: _nested(inner) for step, inner in groups.items()}
    if not all(isinstance(step, int) for step in groups):
        raise ValueError("its inputs are given both by position and by name")
    return [_nested(groups[step]) for step in sorted(groups)]


def _packed(items: list[tuple[list[Any], Any]]) -> Any:
    """Inputs or outputs as the model is given them; a single one is bare."""
    if len(items) == 1 and items[0][0] in ([], [0]):
        return items[0][1]
    return _nested(items)


def _position(item: tuple[list[Any], Any]) -> list[tuple[bool, Any]]:
    return [(isinstance(step, str), step) for step in item[0]]


def _constants(node: Mapping[str, Any], call: int) -> dict[int | str, Any]:
    """Arguments of a call that are no tensors, such as `training` or the 2.0 of `x + 2.0`."""
    literals = node.get("literals", [])
    if call >= len(literals):
        return {}
    given = literals[call]
    constants: dict[int | str, Any] = {int(key): _constant(value) for key, value in given.get("args", {}).items()}
    return constants | {key: _constant(value) for key, value in given.get("kwargs", {}).items()}


def _constant(value: Any) -> Any:
    """A plain value, a slice or an ellipsis, as Keras writes them into a config."""
    if isinstance(value, list):
        return [_constant(item) for item in value]
    if isinstance(value, dict):
        if value.get("class_name") == "__slice__":
            config = value["config"]
            return slice(*(_constant(config[key]) for key in ("start", "stop", "step")))
        if value.get("class_name") == "__ellipsis__":
            return Ellipsis
        return {key: _constant(item) for key, item in value.items()}
    return value
