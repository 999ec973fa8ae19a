"""The variables of a layer by the places at which Keras 3 saves them, those of the layers inside it included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

from core.keras_worker.aliases import snake_case


@dataclass(frozen=True)
class Slot:
    """One entry of what `part.save_own_variables` saves: its key there, and its place within the outer layer."""

    part: keras.Layer
    key: str
    place: str
    variable: Any


def slots_of(layer: keras.Layer) -> list[Slot]:
    """All variables that are saved with the layer; one that two parts share is in both."""
    slots: list[Slot] = []
    for place, part in _parts(layer, "", set()):
        own: dict[str, Any] = {}
        part.save_own_variables(own)
        slots += [Slot(part, key, f"{place}{key}", variable) for key, variable in own.items()]
    return slots


def _parts(layer: keras.Layer, place: str, seen: set[int]) -> Iterator[tuple[str, keras.Layer]]:
    """The layer and the layers inside it, each once, with the names of the attributes that lead to them."""
    if id(layer) in seen:
        return
    seen.add(id(layer))
    yield place, layer
    for name, inner in _inner(layer):
        yield from _parts(inner, f"{place}{name}/", seen)


def _inner(layer: keras.Layer) -> Iterator[tuple[str, keras.Layer]]:
    if isinstance(layer, keras.Model):
        yield from _counted("layers", layer.layers)
        return
    # `_layers` holds them all once more. Where an attribute is private, a property of the same name may be public.
    for name, value in vars(layer).items():
        if isinstance(value, keras.Layer):
            yield name.lstrip("_"), value
        elif isinstance(value, list | tuple) and name != "_layers":
            yield from _counted(name.lstrip("_"), value)


def _counted(name: str, items: Any) -> Iterator[tuple[str, keras.Layer]]:
    """Layers of a list, by their classes and the number within each class."""
    counted: Counter[str] = Counter()
    for item in items:
        if isinstance(item, keras.Layer):
            base = snake_case(type(item).__name__)
            yield f"{name}/{base}_{counted[base]}" if counted[base] else f"{name}/{base}", item
            counted[base] += 1
