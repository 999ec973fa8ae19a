"""The weights that a training begins with: those of an import, layer by layer, where they fit.

Each node of the graph says under `weights` which layer of the import is its own; a layer takes all its weights from
there or none. Nothing here is random, and the network was initialised as without an import before: so a layer that
takes nothing begins as it would have begun anyway.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from core.keras_worker.layer_variables import Slot, slots_of
from core.keras_worker.weights_file import KeptLayer, KeptWeights, LayerPath, read_weights

INITIAL_WEIGHTS = "initial_weights.bin"

# Names are compared each with each; a wrapper around a whole model has some hundred.
_MOST_NAMED = 1000


class _Misfit(Exception):
    """Why a layer takes no weights: half a sentence for the person."""


@dataclass
class _Report:
    taken: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    not_taken: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    used: set[LayerPath] = field(default_factory=set[LayerPath])


def initial_weights(work: Path, params: Mapping[str, Any]) -> Path | None:
    """Where the weights lie that this training is to begin with, if it is to begin with any."""
    return work / INITIAL_WEIGHTS if params.get("initial_weights") else None


def take_weights(model: keras.Model, graph: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """Gives the model the weights in the file, as far as they fit.

    Returns `taken` (`layer`, `parameters`), `not_taken` (`layer`, `reason`; also layers of the import that the graph
    has not), `parameters_taken` and `parameters_total`. Raises Refused if the file is damaged.
    """
    kept = read_weights(file)
    report = _Report()
    for name, layer, source in _layers(model, graph, ""):
        try:
            _take(layer, source, kept)
        except _Misfit as misfit:
            report.not_taken.append({"layer": name, "reason": str(misfit)})
        else:
            report.taken.append({"layer": name, "parameters": layer.count_params()})
        if source is not None:
            report.used.add(source)
    report.not_taken += [
        {"layer": "/".join(path), "reason": "the graph has no such layer"}
        for path in kept.layers
        if path not in report.used
    ]
    return {
        "taken": report.taken,
        "not_taken": report.not_taken,
        "parameters_taken": sum(entry["parameters"] for entry in report.taken),
        "parameters_total": model.count_params(),
    }


def _layers(
    model: keras.Model, graph: Mapping[str, Any], prefix: str
) -> Iterator[tuple[str, keras.Layer, LayerPath | None]]:
    """Each layer of the graph that has weights, with its name and that of its source; nested models are opened."""
    layers = {layer.name: layer for layer in model.layers}
    for node in graph["nodes"]:
        layer, name = layers.get(node["name"]), f"{prefix}{node['name']}"
        if isinstance(layer, keras.Model):
            yield from _layers(layer, node["model"], f"{name}/")
        elif layer is not None and layer.weights:
            yield name, layer, tuple(node["weights"]) if "weights" in node else None


def _take(layer: keras.Layer, source: LayerPath | None, kept: KeptWeights) -> None:
    """Raises _Misfit, and then has changed nothing."""
    if source is None:
        raise _Misfit("the import has no such layer")
    saved = kept.layers.get(source)
    if saved is None:
        raise _Misfit("the import has no weights of this layer")
    if saved.problem:
        raise _Misfit(saved.problem)
    slots = slots_of(layer)
    arrays = _by_name(slots, saved) if kept.named else _by_place(slots, saved)
    for slot, array in arrays:
        _check(slot, array)
    stores: dict[int, tuple[keras.Layer, dict[str, np.ndarray]]] = {}
    for slot, array in arrays:
        stores.setdefault(id(slot.part), (slot.part, {}))[1][slot.key] = np.array(array)
    for part, store in stores.values():
        part.load_own_variables(store)


def _by_place(slots: list[Slot], saved: KeptLayer) -> list[tuple[Slot, np.ndarray]]:
    if sorted(slot.place for slot in slots) != sorted(saved.arrays):
        raise _Misfit(_counts(len(slots), len(saved.arrays)))
    return [(slot, saved.arrays[slot.place]) for slot in slots]


def _by_name(slots: list[Slot], saved: KeptLayer) -> list[tuple[Slot, np.ndarray]]:
    """Each variable with the weight whose name has the longest end in common with its own.

    Names begin with what surrounds a layer, which may differ; they end with what they are, such as `query/kernel`.
    Keras 2 numbers what has no name (`lstm_cell_1`); among equals the first in the file is the first in the layer.
    """
    variables = {id(slot.variable): slot.variable for slot in slots}
    if len(variables) > _MOST_NAMED:
        raise _Misfit("it has too many weights to be told apart by their names; save the model as .keras")
    if len(variables) != len(saved.arrays):
        raise _Misfit(_counts(len(variables), len(saved.arrays)))
    ends = [
        (-_common_end(variable.path, name), at, place, key, name)
        for at, (key, variable) in enumerate(variables.items())
        for place, name in enumerate(saved.arrays)
    ]
    chosen: dict[int, str] = {}
    left = set(saved.arrays)
    for end, _, _, key, name in sorted(ends):
        if end and key not in chosen and name in left:
            chosen[key] = name
            left.remove(name)
    if left:
        raise _Misfit(f"nothing in it is called {min(left)}")
    return [(slot, saved.arrays[chosen[id(slot.variable)]]) for slot in slots]


def _common_end(one: str, other: str) -> int:
    """How many steps two paths have in common at their ends, numbers aside; those that are equal count double."""
    count = 0
    for step, step_of_other in zip(reversed(one.split("/")), reversed(other.split("/")), strict=False):
        if _unnumbered(step) != _unnumbered(step_of_other):
            break
        count += 2 if step == step_of_other else 1
    return count


def _unnumbered(step: str) -> str:
    return re.sub(r"_\d+$", "", step)


def _check(slot: Slot, array: np.ndarray) -> None:
    name, shape = slot.variable.name, tuple(slot.variable.shape)
    if shape != array.shape:
        raise _Misfit(f"its {name} has the shape {shape} here and {array.shape} in the import")
    if not np.can_cast(array.dtype, np.dtype(slot.variable.dtype), "same_kind"):
        raise _Misfit(f"its {name} is {slot.variable.dtype} here and {array.dtype.name} in the import")


def _counts(here: int, there: int) -> str:
    if here == there:
        return "its weights are others than those in the import"
    return f"it has {here} weights here and {there} in the import"
