"""A Keras model's JSON as a drawing, by reading alone: nothing in the file is run or made.

Reads what Keras 3 writes (`keras_history`), what Keras 2 wrote (lists of `[layer, node, tensor]`),
and Sequential models. What a node and an edge cannot say plainly goes to `notes` and `meta` as
docs/graphs.md describes.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from core.base.errors import BadRequest, TooLarge
from core.base.settings import settings
from core.catalog.catalog import catalog
from core.graphs import layout, wrapped
from core.graphs.inbound import Feed, legacy_calls, modern_calls, output_tensors
from core.graphs.nodes import MODELS, find_layer

Config = Mapping[str, Any]

_DEEPEST = 5
_INPUT_SHAPES = ("batch_input_shape", "batch_shape", "input_shape", "input_dim")
# Parameters that Keras 3 knows by another name.
_RENAMED = {("LeakyReLU", "alpha"): "negative_slope", ("InputLayer", "batch_input_shape"): "batch_shape"}
_RECURRENT_NOISE = {"training": False}


def import_model(model: Any) -> dict[str, Any]:
    """`{"name", "nodes", "edges"}` of a parsed model JSON. Raises BadRequest `{"model": […]}`, TooLarge."""
    if not isinstance(model, dict) or model.get("class_name") not in MODELS:
        kind = model.get("class_name") if isinstance(model, dict) else None
        got = f"this is {kind!r}" if isinstance(kind, str) else "there is no class_name in it"
        raise _refused(f"Only Sequential, Functional and Model can be imported; {got}.")
    prefix = f"g{secrets.token_hex(4)}"
    reader = _Reader(prefix)
    try:
        nodes, edges = reader.read(model, 0)
    except RecursionError:
        raise _refused("The model is nested too deeply.") from None
    name = model["config"].get("name") if isinstance(model.get("config"), dict) else None
    return {"name": name if isinstance(name, str) else "", "nodes": nodes, "edges": edges}


def _refused(text: str) -> BadRequest:
    return BadRequest({"model": [text]})


class _Reader:
    """Turns one model after the other, outer and nested, into nodes and edges with ids of one import."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._made = 0

    def read(self, model: Config, depth: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        if depth > _DEEPEST:
            raise _refused(f"Models are nested more than {_DEEPEST} deep.")
        config = model.get("config")
        layers = (
            config if isinstance(config, list) else (config or {}).get("layers") if isinstance(config, dict) else None
        )
        if not isinstance(layers, list) or not all(_is_layer(layer) for layer in layers):
            raise _refused("The model has no list of layers, each with class_name and config.")
        self._made += len(layers)
        if self._made > settings().max_graph_nodes:
            raise TooLarge(f"The model has more than {settings().max_graph_nodes:,} layers (MAX_GRAPH_NODES).")
        if model["class_name"] == "Sequential" or not any("inbound_nodes" in layer for layer in layers):
            return self._sequential(layers, config if isinstance(config, dict) else {}, depth)
        return self._functional(layers, config if isinstance(config, dict) else {}, depth)

    def _sequential(self, layers: list[Any], config: Config, depth: int) -> Any:
        nodes = [self._node(layer, depth) for layer in layers]
        if nodes and nodes[0]["type"] not in ("InputLayer", "Input"):
            shape = _first_shape(layers[0], config)
            if shape is not None:
                nodes.insert(0, self._synthesized(shape))
        ids = [node["id"] for node in nodes]
        edges = [self._edge(Feed(source, 0, 0, 0, None), target, 0) for source, target in pairwise(ids)]
        return self._placed(nodes, edges), edges

    def _functional(self, layers: list[Any], config: Config, depth: int) -> Any:
        names = [str(layer.get("name") or layer["config"].get("name")) for layer in layers]
        if len(set(names)) < len(names):
            raise _refused("Two layers of the model have the same name.")
        nodes = {name: self._node(layer, depth) for name, layer in zip(names, layers, strict=True)}
        calls = {name: _calls(layer, names) for name, layer in zip(names, layers, strict=True)}
        outputs = output_tensors(config.get("output_layers"), "output_layers")
        shift = _built_in_nodes(layers, names, calls, outputs)
        edges: list[dict[str, Any]] = []
        for name, made in calls.items():
            for number, call in enumerate(made):
                for feed in call.feeds:
                    if feed.source not in nodes:
                        raise _refused(f"Layer '{name}' is fed by '{feed.source}', which is not in the model.")
                    feed = feed.from_node(nodes[feed.source]["id"], shift[feed.source, "call"])
                    edges.append(self._edge(feed, nodes[name]["id"], number))
            _note_literals(nodes[name], [call.literals for call in made])
        self._note_ends(nodes, config, outputs, shift, edges)
        return self._placed(list(nodes.values()), edges), edges

    def _node(self, layer: Config, depth: int) -> dict[str, Any]:
        type_name = _type_of(layer)
        config: dict[str, Any] = dict(layer["config"])
        label = str(layer.get("name") or config.get("name") or "")
        notes: dict[str, Any] = {}
        params: dict[str, Any] = {}
        if type_name in MODELS:
            inner_nodes, inner_edges = self.read({**layer, "class_name": type_name}, depth + 1)
            notes["graph"] = {"nodes": inner_nodes, "edges": inner_edges}
            if config.get("trainable") is False:
                notes["keras"] = {"trainable": False}
        elif type_name == "InputLayer":
            params = _input_params(config)
        elif type_name.startswith("ops."):
            params = {key: value for key, value in config.items() if key not in ("name", "dtype") and value is not None}
        else:
            params, noted = _declared(type_name, wrapped.plain(type_name, label, config))
            if noted:
                notes["keras"] = noted
        return {"id": self._id(type_name), "type": type_name, "label": label, "params": params, "notes": notes}

    def _synthesized(self, shape: list[Any]) -> dict[str, Any]:
        params: dict[str, Any] = {"shape": shape[1:]}
        if shape[0] is not None:
            params["batch_size"] = shape[0]
        return {
            "id": self._id("InputLayer"),
            "type": "InputLayer",
            "label": "",
            "params": params,
            "notes": {"synthesized": True},
        }

    def _id(self, type_name: str) -> str:
        self._counter = getattr(self, "_counter", 0) + 1
        return f"{self._prefix}-{re.sub(r'[^a-z0-9]+', '-', type_name.lower())[:40]}-{self._counter}"

    def _edge(self, feed: Feed, target: str, call: int) -> dict[str, Any]:
        self._edges = getattr(self, "_edges", 0) + 1
        meta = feed.meta()
        if call:
            meta["call"] = call
        return {"id": f"{self._prefix}-e{self._edges}", "source": feed.source, "target": target, "meta": meta}

    def _placed(self, nodes: list[dict[str, Any]], edges: list[dict[str, Any]]) -> list[dict[str, Any]]:
        positions = layout.place([node["id"] for node in nodes], ((edge["source"], edge["target"]) for edge in edges))
        return [{**node, "position": positions[node["id"]]} for node in nodes]

    def _note_ends(
        self, nodes: dict[str, dict[str, Any]], config: Config, outputs: Any, shift: Any, edges: list[dict[str, Any]]
    ) -> None:
        """Notes the order and structure of inputs and outputs, where the drawing alone would give another."""
        inputs = output_tensors(config.get("input_layers"), "input_layers")
        drawn = [name for name, node in nodes.items() if node["type"] == "InputLayer"]
        if [feed.source for feed in inputs] != drawn or any(
            isinstance(step, str) for feed in inputs for step in feed.path or ()
        ):
            for feed in inputs:
                if feed.source in nodes:
                    nodes[feed.source]["notes"]["input"] = list(feed.path or [0])
        used = {edge["source"] for edge in edges}
        sinks = [name for name, node in nodes.items() if node["id"] not in used]
        plain = all(
            feed.output == 0 and len(feed.path or ()) < 2 and not isinstance((feed.path or (0,))[0], str)
            for feed in outputs
        )
        single = all(_surely_single(nodes[name]) for name in sinks)
        if plain and single and [feed.source for feed in outputs] == sinks:
            return
        for position, feed in enumerate(outputs):
            if feed.source not in nodes:
                raise _refused(f"The output layer '{feed.source}' is not in the model.")
            path = list(feed.path) if feed.path is not None else [position]
            call = feed.source_call - shift[feed.source, "output"]
            noted = nodes[feed.source]["notes"].setdefault("outputs", [])
            noted.append({"path": path, "call": call, "output": feed.output})


def _is_layer(layer: Any) -> bool:
    return (
        isinstance(layer, dict) and isinstance(layer.get("class_name"), str) and isinstance(layer.get("config"), dict)
    )


def _type_of(layer: Config) -> str:
    """The node type of a serialised layer. Raises BadRequest for what is not Keras's own or carries code."""
    name, module = layer["class_name"], layer.get("module")
    label = layer.get("name") or layer["config"].get("name") or name
    if isinstance(module, str) and module.startswith("keras.src.ops."):
        operation = f"ops.{module.removeprefix('keras.src.ops.')}.{name}"
        if catalog().find("operations", operation) is not None:
            return operation
        raise _refused(f"Layer '{label}' is the operation {name}, which cannot be drawn.")
    if name in MODELS:
        return name
    foreign = isinstance(module, str) and not (module == "keras" or module.startswith("keras."))
    if foreign or ">" in name:
        raise _refused(
            f"Layer '{label}' is a custom {name} from {module or name.split('>')[0]};"
            " only Keras's own layers can be imported."
        )
    entry = find_layer(name)
    if entry is None:
        raise _refused(
            f"Layer '{label}' is a {name}, which is not a layer of Keras {catalog().versions['keras_version']}."
        )
    if entry["refused"]:
        raise _refused(f"Layer '{label}': {entry['refused']}")
    return entry["name"]


def _declared(type_name: str, config: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The declared parameters without nulls, and what only notes can say: frozen, other dtype, deliberate nulls."""
    entry = find_layer(type_name)
    specs = catalog().parameters(entry) if entry is not None else {}
    named = {_RENAMED.get((type_name, key), key): value for key, value in config.items()}
    params = {key: value for key, value in named.items() if key in specs and key != "name" and value is not None}
    noted: dict[str, Any] = {
        key: None
        for key, value in named.items()
        if value is None and key in specs and not specs[key]["required"] and specs[key].get("default") is not None
    }
    if config.get("trainable") is False:
        noted["trainable"] = False
    dtype = config.get("dtype")
    if isinstance(dtype, dict):
        policy = dtype.get("config")
        dtype = policy.get("name") if isinstance(policy, dict) else None
    if dtype not in (None, "float32") and "dtype" not in specs:
        noted["dtype"] = dtype
    return params, noted


def _input_params(config: dict[str, Any]) -> dict[str, Any]:
    shape = config.get("batch_shape") or config.get("batch_input_shape") or config.get("shape")
    params: dict[str, Any] = {}
    if isinstance(shape, list) and shape:
        params["shape"] = shape[1:] if config.get("shape") is not shape else shape
        if config.get("shape") is not shape and shape[0] is not None:
            params["batch_size"] = shape[0]
    params |= {key: config[key] for key in ("dtype", "name") if config.get(key) is not None}
    return params | {key: True for key in ("sparse", "ragged", "optional") if config.get(key) is True}


def _first_shape(layer: Config, config: Config) -> list[Any] | None:
    """The batch shape that a Sequential model's first layer, or the model itself, carries."""
    for name in _INPUT_SHAPES:
        shape = layer["config"].get(name)
        declared = find_layer(layer["class_name"])
        if shape is None or (declared is not None and name in catalog().parameters(declared)):
            continue
        sizes = list(shape) if isinstance(shape, list) else [shape]
        return sizes if name.startswith("batch") else [None, *sizes]
    shape = config.get("build_input_shape")
    return list(shape) if isinstance(shape, list) and shape else None


def _calls(layer: Config, names: list[str]) -> Any:
    inbound = layer.get("inbound_nodes") or []
    if not isinstance(inbound, list):
        raise _refused("inbound_nodes must be a list.")
    if inbound and isinstance(inbound[0], dict):
        return modern_calls(inbound)
    return legacy_calls(inbound, set(names))


def _built_in_nodes(layers: list[Any], names: list[str], calls: Any, outputs: list[Feed]) -> dict[tuple[str, str], int]:
    """By how much node numbers of a nested model are ahead of its calls: Keras counts a call of its own.

    Keras 3 counts it for Functional models in `output_layers` only; Keras 2 counted it everywhere.
    """
    fed = [feed for made in calls.values() for call in made for feed in call.feeds]
    highest: dict[tuple[str, str], int] = {}
    for place, feeds in (("call", fed), ("output", outputs)):
        for feed in feeds:
            highest[feed.source, place] = max(highest.get((feed.source, place), 0), feed.source_call)
    shift: dict[tuple[str, str], int] = {}
    for name, layer in zip(names, layers, strict=True):
        for place in ("call", "output"):
            modern = "module" in layer and layer["class_name"] in ("Functional", "Model") and place == "output"
            beyond = highest.get((name, place), 0) >= max(len(calls[name]), 1)
            shift[name, place] = int(layer["class_name"] in MODELS and (modern or beyond))
    return shift


def _note_literals(node: dict[str, Any], literals: list[dict[str, Any]]) -> None:
    entry = find_layer(node["type"])
    recurrent = entry is not None and "Recurrent" in entry["categories"]
    kept: list[dict[str, Any]] = []
    for given in literals:
        kwargs = {key: value for key, value in given.get("kwargs", {}).items() if value is not None}
        if recurrent and kwargs.get("training") is False:
            # Keras writes this for every recurrent layer that is called while a model is drawn.
            del kwargs["training"]
        parts: dict[str, Any] = {"args": given.get("args", {}), "kwargs": kwargs}
        kept.append({key: part for key, part in parts.items() if part})
    if any(kept):
        node["notes"]["calls"] = kept


def _surely_single(node: Mapping[str, Any]) -> bool:
    """Whether the layer gives one tensor for sure, so that a drawing needs no note about its outputs."""
    params, notes = node["params"], node["notes"]
    plain = node["type"] not in MODELS and not node["type"].startswith("ops.") and "calls" not in notes
    inner = params.get("layer") if isinstance(params.get("layer"), dict) else {}
    inner_config = inner.get("config") if isinstance(inner, dict) else None
    states = params.get("return_state") or (isinstance(inner_config, dict) and inner_config.get("return_state"))
    merged = "merge_mode" not in notes.get("keras", {})
    return plain and not states and merged and not node["type"].endswith(("Cell", "Cells"))
