"""The operations on the catalogues, as clients are told them; each of the five has the same ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.base.description import Answer, Description
from core.catalog import shapes

TAG = "Catalogues"

_PARAMETER = {
    "name": "rate",
    "kind": "POSITIONAL_OR_KEYWORD",
    "annotation": None,
    "doc": "Float between 0 and 1. Fraction of the input units to drop.",
    "required": True,
    "param_type": "float",
    "possible_values": None,
    "value_range": {"min": 0, "max": 1},
    "enum": None,
    "case_insensitive": True,
    "nullable": False,
    "deprecated": None,
}
_LISTED = {
    "name": "Dropout",
    "description": "Applies dropout to the input.",
    "parameters": [_PARAMETER],
}
_FULL = {
    "aliases": [],
    "qualified_name": "keras.layers.Dropout",
    "module": "keras.src.layers.regularization.dropout",
    "bases": ["Layer", "Operation", "KerasSaveable"],
    "methods": [{"name": "get_config", "signature": "(self)", "description": "Returns the config of the object."}],
    "doc_sections": [{"title": "Args", "text": "rate: Float between 0 and 1. Fraction of the input units to drop."}],
}
_VERSIONS = {"tensorflow_version": "2.20.0"}
_SPEC = {
    "Dropout": {"rate": {"param_type": "float", "enum": None, "value_range": {"min": 0, "max": 1}, "nullable": False}}
}


@dataclass(frozen=True)
class Contract:
    """The five operations on one catalogue."""

    read_list: Description
    read_specs: Description
    read_entry: Description
    refresh: Description
    regenerate: Description


def contract_of(kind: str) -> Contract:
    """The operations on `layers`, `optimizers`, `losses`, `metrics` or `activations`."""
    one, whole, entry, own, more = _KINDS[kind]
    listed = {**_LISTED, **own}
    specs = {**_VERSIONS, "keras_version": "3.12.4", "param_value_specs": _SPEC} if kind == "layers" else _VERSIONS
    versions = {**_VERSIONS, "keras_version": "3.12.4"} if kind == "layers" else _VERSIONS
    page = {**versions, f"{one}_count": 1, kind: [listed]}
    done = {"ok": True, "message": f"137 {kind} of Keras 3.12.4 read again from the file."}
    return Contract(
        Description(
            TAG,
            f"List the {kind}",
            {200: Answer.json(f"All {kind} of Keras.", whole, page, "ETag"), 304: Answer("It has not changed.")},
            headers=("If-None-Match",),
        ),
        Description(
            TAG, f"Read the versions behind the {kind}", {200: Answer.json("The versions.", shapes.Specs, specs)}
        ),
        Description(
            TAG,
            f"Read all about one {_NAMES.get(one, one)}",
            {200: Answer.json("The full entry.", entry, {**listed, **_FULL, **more})},
        ),
        Description(
            TAG,
            f"Read the {kind} again from the file",
            {200: Answer.json("What was done.", shapes.Done, done)},
        ),
        Description(
            TAG,
            f"Make the {kind} anew from Keras",
            {200: Answer.json("What was done.", shapes.Done, done)},
            "Asks the installed Keras about itself, which takes some seconds; it lasts until the process ends.",
        ),
    )


_NAMES = {"activation": "activation function"}
# Of each: its singular, the types of list and entry, and what the examples have beside what all have.
_KINDS: dict[str, tuple[str, Any, Any, dict[str, Any], dict[str, Any]]] = {
    "layers": (
        "layer",
        shapes.Layers,
        shapes.LayerEntry,
        {"categories": ["Regularization"], "deprecated": False, "refused": None},
        {"call_arguments": ["inputs", "training"]},
    ),
    "optimizers": ("optimizer", shapes.Optimizers, shapes.OptimizerEntry, {}, {}),
    "losses": ("loss", shapes.Losses, shapes.LossEntry, {"is_function": False, "alias_of": None}, {}),
    "metrics": ("metric", shapes.Metrics, shapes.MetricEntry, {"is_base_class": False}, {}),
    "activations": ("activation", shapes.Activations, shapes.ActivationEntry, {"is_utility": False}, {}),
}
