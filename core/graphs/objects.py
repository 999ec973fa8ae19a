"""Parameters whose value is an object of Keras: initializers, regularizers, activations, inner layers.

An object arrives as a name (`"he_normal"`), as a call (`"L2(0.01)"`, `"LSTM(32)"`) or serialised
(`{module, class_name, config, registered_name}`). Whatever module a client names is not looked at:
the class is looked up in the catalogue, so nothing else can be made from a graph.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from core.base.errors import BadRequest
from core.catalog.catalog import Entry, catalog
from core.graphs import literals
from core.graphs.params import BadValue, as_bool, convert, shown

Config = dict[str, Any]

_CATALOGUE = {"initializer": "initializers", "regularizer": "regularizers", "constraint": "constraints"}
_DEEPEST = 6
_MODELS = ("Functional", "Sequential", "Model")
_FLOAT_POLICIES = ("float32", "float64", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16")
_DTYPES = (*_FLOAT_POLICIES[:4], "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool")
# What every layer's config may say beside its own parameters.
EXTRAS = ("trainable", "dtype")


def convert_value(spec: Entry, value: Any, depth: int = 0) -> Any:
    """A set parameter value of any type. Raises BadValue."""
    kind = spec.get("object")
    if kind is None:
        return _dtype(value) if isinstance(value, dict) and spec["name"].endswith("dtype") else convert(spec, value)
    if depth > _DEEPEST:
        raise BadValue("The objects in this value are nested too deeply.")
    if kind in ("cells", "layers"):
        return [_layer(item, depth, cell=kind == "cells") for item in _several(value)]
    if kind in ("layer", "cell"):
        return _layer(_parsed(value), depth, cell=kind == "cell")
    if kind == "activation":
        return _activation(_parsed(value))
    if kind in _CATALOGUE:
        return _object(kind, _parsed(value), depth)
    raise BadValue("This cannot be set from a graph; leave it empty.")


def convert_config(entry: Entry, config: Mapping[str, Any], depth: int = 0) -> tuple[Config, Config, dict[str, str]]:
    """A layer's or object's config: its parameters, its extras, and what is wrong with which parameter.

    Parameters at their default are left out, undeclared names dropped. The extras are `trainable` and
    `dtype` where they say something, and parameters that are None although their default is not.
    """
    specs = catalog().parameters(entry)
    params: Config = {}
    extras: Config = {}
    problems: dict[str, str] = {}
    for name, value in config.items():
        try:
            if name in specs:
                if not literals.is_unset(value):
                    converted = convert_value(specs[name], value, depth)
                    if not _is_default(specs[name], converted):
                        params[name] = converted
            elif name in EXTRAS and not literals.is_unset(value):
                _take_extra(extras, name, value)
        except BadValue as error:
            problems[name] = str(error)
    params = {name: params[name] for name in specs if name in params}
    for name, spec in specs.items():
        if spec["required"] and name not in params and name not in problems:
            problems[name] = _missing(spec)
    return params, extras, problems


def _missing(spec: Entry) -> str:
    examples = {"int": "a whole number such as 32", "float": "a number such as 0.5", "tuple_int": "e.g. (3, 3)"}
    if spec.get("object") in ("layer", "cell"):
        example = "a layer, e.g. LSTM(32)" if spec["object"] == "layer" else "a cell, e.g. LSTMCell(32)"
    elif spec["enum"]:
        example = "one of " + ", ".join(spec["enum"][:6])
    else:
        example = examples.get(spec["param_type"], "a value")
    return f"{spec['name']} is required: give {example}."


def _take_extra(extras: Config, name: str, value: Any) -> None:
    if name == "trainable" and not as_bool(value):
        extras["trainable"] = False
    if name == "dtype" and _dtype(value) != "float32":
        extras["dtype"] = _dtype(value)


def _is_default(spec: Entry, converted: Any) -> bool:
    if spec["required"] or spec.get("default") is None:
        return False
    default = spec["default"]
    if isinstance(default, str) and spec["param_type"].startswith("tuple"):
        default = convert(spec, default)
    return (type(default) is type(converted) and default == converted) or (
        spec["param_type"] == "float" and not isinstance(converted, str | list | bool) and default == converted
    )


def _dtype(value: Any) -> str:
    """A dtype or policy by its name. Raises BadValue."""
    if isinstance(value, dict):
        inner = value.get("config")
        value = inner.get("name") if isinstance(inner, dict) else None
    name = literals.unquote(value).lower() if isinstance(value, str) else ""
    if name not in (*_FLOAT_POLICIES, *_DTYPES, "string"):
        raise BadValue(f"Expected a dtype such as float32, got {shown(value)}.")
    return name


def _parsed(value: Any) -> Any:
    """Text that is a call or an object, as one; a plain name stays text."""
    if not isinstance(value, str):
        return value
    text = literals.unquote(value)
    if not any(mark in text for mark in "({["):
        return text
    try:
        return literals.read(text)
    except ValueError as error:
        raise BadValue(f"Expected a name or a call such as L2(0.01), got {shown(value)}: {error}.") from None


def _several(value: Any) -> list[Any]:
    parsed = _parsed(value)
    if not isinstance(parsed, list) or not parsed:
        raise BadValue(f"Expected a list of layers such as [LSTMCell(32), LSTMCell(16)], got {shown(value)}.")
    return [_parsed(item) for item in parsed]


def _class_and_config(value: Any, positional: Mapping[str, Entry] | None = None) -> tuple[str, Config]:
    """Class name and config of any of the forms; a function's name is its class name."""
    if isinstance(value, str):
        return value, {}
    if isinstance(value, literals.Call):
        return value.name.rsplit(".", 1)[-1], {"": value.args, **value.kwargs}
    if isinstance(value, dict) and isinstance(value.get("class_name"), str):
        name, config = value["class_name"], value.get("config")
        if name == "function" and isinstance(config, str):
            return config, {}
        if name.startswith("__"):
            raise BadValue(f"{shown(name)} carries code or data of its own, which a graph may not do.")
        return name, dict(config) if isinstance(config, dict) else {}
    raise BadValue(f"Expected a name or an object with class_name and config, got {shown(value)}.")


def _object(kind: str, value: Any, depth: int) -> Any:
    """A name without parameters stays the name, everything else is `{"class_name", "config"}`."""
    name, config = _class_and_config(value)
    plural = _CATALOGUE[kind]
    entry = catalog().find_any_case(plural, name)
    if entry is None:
        known = [item["choice"] for item in catalog().entries(plural)]
        raise BadValue(_unknown(kind, name, known))
    params = _converted(entry, config, depth)
    if not params:
        return entry["choice"]
    return {"module": f"keras.{plural}", "class_name": entry["name"], "config": params}


def _activation(value: Any) -> Any:
    """An activation's name; a serialised activation layer, e.g. LeakyReLU(0.1), stays a layer."""
    name, config = _class_and_config(value)
    known = catalog().find_any_case("activations", name)
    if known is not None and not known["is_utility"] and not config:
        return known["name"]
    layer = catalog().find("layers", name)
    if layer is not None and "Activation" in layer["categories"]:
        return _layer(value, 0, cell=False)
    names = [entry["name"] for entry in catalog().entries("activations") if not entry["is_utility"]]
    raise BadValue(_unknown("activation", name, names))


def _layer(value: Any, depth: int, *, cell: bool) -> Config:
    name, config = _class_and_config(value)
    if name in _MODELS and not cell:
        return _model(name, config)
    entry = catalog().find("layers", name) or catalog().find_any_case("layers", name)
    if entry is None or (cell and not entry["name"].endswith(("Cell", "Cells"))):
        cells = [item["name"] for item in catalog().entries("layers") if item["name"].endswith("Cell")]
        known = cells if cell else [item["name"] for item in catalog().entries("layers")]
        raise BadValue(_unknown("cell" if cell else "layer", name, known))
    if entry["refused"]:
        raise BadValue(entry["refused"])
    own_name = config.get("name")
    params = _converted(entry, config, depth)
    layer: Config = {"module": "keras.layers", "class_name": entry["name"], "config": params}
    _, extras, _ = convert_config(entry, {key: config[key] for key in EXTRAS if key in config}, depth)
    if isinstance(own_name, str) and not literals.is_unset(own_name):
        extras["name"] = own_name
    return {**layer, "extras": extras} if extras else layer


def _model(class_name: str, config: Config) -> Config:
    """A model inside a parameter, e.g. of TimeDistributed, as the checked graph that it is."""
    # Both of these need this module for the layers of such a model.
    from core.graphs.keras_json import import_model
    from core.graphs.schema import check_graph

    try:
        drawn = import_model({"class_name": class_name, "config": config})
        checked = check_graph(drawn["nodes"], drawn["edges"], complete=class_name != "Sequential")
    except BadRequest as refused:
        raise BadValue(f"The {class_name} model in it cannot be used: {refused.sentence}") from None
    model: Config = {"module": "keras", "class_name": class_name, "model": checked}
    return {**model, "extras": {"name": drawn["name"]}} if drawn["name"] else model


def _converted(entry: Entry, config: Config, depth: int) -> Config:
    """The object's parameters, positional ones by their place. Raises BadValue with the first problem."""
    named = dict(config)
    args: list[Any] = named.pop("", [])
    names = list(catalog().parameters(entry))
    if len(args) > len(names):
        raise BadValue(f"{entry['name']} takes at most {len(names)} values, got {len(args)}.")
    named |= dict(zip(names, args, strict=False))
    params, _, problems = convert_config(entry, named, depth + 1)
    for name, text in problems.items():
        raise BadValue(f"{entry['name']}, {name}: {text}")
    return params


def _unknown(kind: str, name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name.lower()[:100], [item.lower() for item in known], n=1)
    hint = f" Did you mean '{next(item for item in known if item.lower() == near[0])}'?" if near else ""
    return f"There is no {kind} {shown(name)}.{hint}"
