"""From Keras's raw description of itself to the catalogues that are served and checked against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.catalog import docstrings
from core.catalog.categories import ORDER, categories_of
from core.catalog.parameters import OLD_NAMES, describe_parameters

KINDS = ("layers", "optimizers", "losses", "metrics", "activations")
OBJECTS = ("initializers", "regularizers", "constraints", "operations")

# Cannot be drawn: they carry code, stand for code elsewhere, or are only there to be derived from.
REFUSED = {
    "Lambda": "Lambda layers carry Python code, and code from a graph is never run here; use a built-in layer.",
    "TFSMLayer": "TFSMLayer loads a program from a file of the server; import the model's layers instead.",
    "JaxLayer": "JaxLayer carries a Python function, and code from a graph is never run here.",
    "FlaxLayer": "FlaxLayer carries a Python module, and code from a graph is never run here.",
    "TorchModuleWrapper": "TorchModuleWrapper carries a Python module, and code from a graph is never run here.",
    "Layer": "Layer is only the base of all layers and computes nothing; choose one of them.",
    "Wrapper": "Wrapper is only a base; choose Bidirectional, TimeDistributed or SpectralNormalization.",
}
_REFUSED_OPERATIONS = {
    "ops.core." + name
    for name in ("AssociativeScan", "Cond", "ForiLoop", "Map", "Scan", "Switch", "VectorizedMap", "WhileLoop")
}
# The abstract bases: nothing that can be chosen.
_LEFT_OUT = {("optimizers", "Optimizer"), ("losses", "Loss")}
_FIRST = {"layers": ["Input", "InputLayer"], "optimizers": ["Adam"], "losses": ["MeanSquaredError"]}
_BASE_METRICS = {"Metric", "MeanMetricWrapper"}
_NO_ACTIVATIONS = {"get", "serialize", "deserialize"}
# Names of the Keras API for which the class alone would be an unusual thing to choose.
_NOT_CHOSEN = {"Initializer", "Regularizer", "Constraint"}


def build_manifest(facts: Mapping[str, Any], tensorflow_version: str) -> dict[str, Any]:
    """`{"versions", "layers": [full entry…], …, "initializers": …, "operations": …}` from `describe_keras()`."""
    choices = _choices(facts)
    manifest: dict[str, Any] = {
        "versions": {"tensorflow_version": tensorflow_version, "keras_version": facts["keras_version"]}
    }
    for kind in KINDS:
        entries = [_entry(kind, raw, choices) for raw in facts[kind] if (kind, raw["name"]) not in _LEFT_OUT]
        manifest[kind] = sorted(entries, key=lambda entry: _position(kind, entry))
    for kind in ("initializers", "regularizers", "constraints"):
        manifest[kind] = [_object(raw, choices) for raw in facts[kind] if raw["name"] not in _NOT_CHOSEN]
    manifest["operations"] = [
        {key: raw[key] for key in ("name", "module", "function", "call_arguments", "parameters")}
        for raw in facts["operations"]
        if raw["name"] not in _REFUSED_OPERATIONS
    ]
    return manifest


def _choices(facts: Mapping[str, Any]) -> dict[str, list[str]]:
    """The names that may be chosen for each kind of object, in Keras's snake-case spelling."""
    activations = [raw["name"] for raw in facts["activations"] if _usable_by_name(raw)]
    chosen = {"activation": activations}
    for kind in ("initializers", "regularizers", "constraints"):
        names = [_snake_name(raw) for raw in facts[kind] if raw["name"] not in _NOT_CHOSEN]
        chosen[kind.removesuffix("s")] = names
    return chosen


def _usable_by_name(raw: Mapping[str, Any]) -> bool:
    """Takes the tensor alone, so that its name says everything."""
    needed = [item for item in raw["parameters"] if "default" not in item]
    return raw["name"] not in _NO_ACTIVATIONS and len(needed) == 1


def _snake_name(raw: Mapping[str, Any]) -> str:
    lower = [alias for alias in raw["aliases"] if alias == alias.lower()]
    return lower[0] if lower else raw["name"]


def _entry(kind: str, raw: Mapping[str, Any], choices: Mapping[str, list[str]]) -> dict[str, Any]:
    docs = docstrings.arguments(raw["doc"])
    parameters = raw["parameters"]
    if kind == "activations" or (kind == "losses" and not raw["is_class"]):
        parameters = [item for item in parameters if item["name"] not in ("x", "y_true", "y_pred")]
    entry: dict[str, Any] = {
        "name": raw["name"],
        "description": docstrings.summary(raw["doc"]),
        "parameters": describe_parameters(raw["name"], parameters, docs, choices),
    }
    if kind == "layers":
        entry |= {
            "categories": categories_of(raw["name"], raw["module"]),
            "deprecated": False,
            "refused": REFUSED.get(raw["name"]),
            "call_arguments": raw.get("call_arguments", []),
        }
    if kind == "losses":
        entry |= {"is_function": not raw["is_class"], "alias_of": raw.get("alias_of")}
    if kind == "metrics":
        entry["is_base_class"] = raw["name"] in _BASE_METRICS
    if kind == "activations":
        entry["is_utility"] = raw["name"] in _NO_ACTIVATIONS
    return entry | {
        "aliases": raw["aliases"],
        "qualified_name": raw["qualified_name"],
        "module": raw["module"],
        "bases": raw["bases"],
        "methods": raw["methods"],
        "doc_sections": docstrings.described_sections(raw["doc"]),
    }


def _object(raw: Mapping[str, Any], choices: Mapping[str, list[str]]) -> dict[str, Any]:
    docs = docstrings.arguments(raw["doc"])
    old = [name for name, new in OLD_NAMES.items() if new in raw["aliases"]]
    return {
        "name": raw["name"],
        "choice": _snake_name(raw),
        "aliases": [*raw["aliases"], *old],
        "parameters": describe_parameters(raw["name"], raw["parameters"], docs, choices),
    }


def _position(kind: str, entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """The order of the palette: what is needed first, then by group, then by name."""
    first = _FIRST.get(kind, [])
    rank = first.index(entry["name"]) if entry["name"] in first else len(first)
    if kind == "layers":
        return (rank, ORDER.index(entry["categories"][0]), entry["name"])
    return (rank, entry.get("is_function", False), entry["name"])
