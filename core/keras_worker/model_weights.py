"""Where the weights of a model stand in its HDF5 file: a layer of the config, and its data sets.

Keras 3 (and Keras 2.12 on, in .keras files) goes by place: a layer lies at `layers/<class>_<n>`, counted for each class
in the order of the config, what is inside it at the names of its attributes, and its own variables at `vars/<n>`
(keras/src/saving/saving_lib.py). Before, an .h5 file went by name: `model_weights/<layer>`, with the names of all
variables in the attribute `weight_names` (keras/src/legacy/saving/legacy_h5_format.py).

The file was looked through before (`model_hdf5`): no link in it leads out, no data set is larger than the file may be.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import h5py

from core.keras_worker.aliases import snake_case
from core.keras_worker.model_hdf5 import text_list
from core.keras_worker.weights_file import LayerPath

_MODELS = ("Functional", "Sequential", "Model")
_OPERATIONS = "keras.src.ops."
# What Keras 2.12 and 2.13 called the group of a model's layers.
_OLDER_LAYERS = "_layer_checkpoint_dependencies"

Config = Mapping[str, Any]
Datasets = dict[str, h5py.Dataset]


@dataclass(frozen=True)
class SavedLayer:
    """A layer that holds weights: the names that lead to it through nested models, and its data sets by name."""

    path: LayerPath
    datasets: Datasets


def layers_by_place(file: h5py.Group, model: Config) -> Iterator[SavedLayer]:
    """The layers of a model that Keras 3 saved, those of nested models one by one."""
    yield from _by_place(file, _layers(model), ())


def layers_by_name(file: h5py.Group, model: Config, most_bytes: int) -> Iterator[SavedLayer]:
    """The layers of a model in the older form. Raises Refused for names of more than `most_bytes`."""
    saved = file.get("model_weights")
    if not isinstance(saved, h5py.Group):
        return
    for layer in _layers(model):
        group = saved.get(_name(layer)) if _name(layer) else None
        if isinstance(group, h5py.Group):
            found = {name: group.get(name) for name in text_list(group, "weight_names", most_bytes)}
            datasets = {_plain_name(name): item for name, item in found.items() if isinstance(item, h5py.Dataset)}
            yield from _by_name(layer, datasets, (_name(layer),))


def _by_place(group: h5py.Group, layers: list[Config], path: LayerPath) -> Iterator[SavedLayer]:
    for layer, place in zip(layers, _places(group, layers), strict=True):
        if place is None:
            continue
        inner = (*path, _name(layer))
        if _is_model(layer):
            yield from _by_place(place, _layers(layer), inner)
        elif datasets := _variables(place):
            yield SavedLayer(inner, datasets)


def _places(group: h5py.Group, layers: list[Config]) -> list[h5py.Group | None]:
    """The group of each layer."""
    found = [group.get(name) for name in ("layers", _OLDER_LAYERS)]
    modern, older = (item if isinstance(item, h5py.Group) else None for item in found)
    counted: Counter[str] = Counter()
    names: list[str] = []
    for layer in layers:
        base = snake_case(str(layer["class_name"]))
        names.append(f"{base}_{counted[base]}" if counted[base] else base)
        counted[base] += 1
    if modern is None and older is not None:
        names = _older_names(older, layers, counted)
        modern = older
    places = [modern.get(name) if modern is not None and name else None for name in names]
    return [place if isinstance(place, h5py.Group) else None for place in places]


def _older_names(group: h5py.Group, layers: list[Config], counted: Mapping[str, int]) -> list[str]:
    """The names of the layers' groups where numbers were left out: layers with weights were counted twice.

    In their order the groups of a class are its layers; where they are not as many, none can be told from another.
    """
    left: dict[str, list[str]] = {}
    for base in counted:
        numbered = [name for name in map(str, group) if re.fullmatch(rf"{base}(_\d{{1,9}})?", name)]
        numbered.sort(key=lambda name: int(name[len(base) + 1 :] or 0))
        left[base] = numbered if len(numbered) == counted[base] else [""] * counted[base]
    return [left[snake_case(str(layer["class_name"]))].pop(0) for layer in layers]


def _variables(group: h5py.Group) -> Datasets:
    """All variables at and below a layer's group, by their place: `0`, `forward_layer/cell/0`.

    An attribute may have been private when the model was saved and be public now, or the reverse.
    """
    datasets: Datasets = {}

    def visit(name: str, item: Any) -> None:
        *place, folder, key = ("", *name.split("/"))
        if folder == "vars" and isinstance(item, h5py.Dataset):
            steps = [step.lstrip("_") for step in place if step]
            datasets.setdefault("/".join([*steps, key]), item)

    group.visititems(visit)
    return datasets


def _by_name(layer: Config, datasets: Datasets, path: LayerPath) -> Iterator[SavedLayer]:
    """The layer, or for a nested model its layers: each weight goes to the layer that its name begins with."""
    if not _is_model(layer):
        if datasets:
            yield SavedLayer(path, datasets)
        return
    inner = _layers(layer)
    shares: list[Datasets] = [{} for _ in inner]
    known = [_names_inside(item) for item in inner]
    for name, dataset in datasets.items():
        places = [min((at for one in names if (at := f"/{name}".find(f"/{one}/")) >= 0), default=-1) for names in known]
        owners = [index for index, at in enumerate(places) if at >= 0]
        if owners:
            shares[min(owners, key=lambda index: places[index])][name] = dataset
    for item, share in zip(inner, shares, strict=True):
        yield from _by_name(item, share, (*path, _name(item)))


def _names_inside(layer: Config) -> set[str]:
    """The names that weights of this layer may begin with: those of a model's layers may leave out the model's own."""
    names = {_name(layer)} if _name(layer) else set[str]()
    return names.union(*(_names_inside(inner) for inner in _layers(layer))) if _is_model(layer) else names


def _layers(model: Config) -> list[Config]:
    """The layers of a model's config that are layers; operations such as `x + 1` are none, and hold nothing."""
    config: Any = model.get("config")
    layers: Any = config.get("layers") if isinstance(config, dict) else config
    return [layer for layer in layers if _is_layer(layer)] if isinstance(layers, list) else []


def _is_layer(layer: Any) -> bool:
    known = isinstance(layer, dict) and isinstance(layer.get("class_name"), str)
    return known and not str(layer.get("module")).startswith(_OPERATIONS)


def _is_model(layer: Config) -> bool:
    return layer["class_name"] in _MODELS


def _name(layer: Config) -> str:
    config: Any = layer.get("config")
    return str(layer.get("name") or (config.get("name") if isinstance(config, dict) else None) or "")


def _plain_name(name: str) -> str:
    """`d/kernel:0` as `d/kernel`: the number is that of TensorFlow's tensor."""
    return re.sub(r":\d+$", "", name)
