"""Layers inside layers, as Keras writes them: without what only follows from the outer layer.

Keras names inner layers anew and writes Bidirectional's mirrored layer out. Both come about by
themselves when the model is built, so a drawing that went through Keras is the drawing it was.
"""

from __future__ import annotations

from typing import Any


def plain(type_name: str, owner: str, config: dict[str, Any]) -> dict[str, Any]:
    """The config of a wrapper named `owner` with its inner layers as a person would give them."""
    if type_name == "Bidirectional":
        config = _without_mirror(config)
    inner = {
        key: _without_default_name(config[key], owner) for key in ("layer", "cell", "backward_layer") if key in config
    }
    return {**config, **inner}


def default_name(owner: str, class_name: str) -> str:
    """What an inner layer is called unless it has a name of its own; `core.keras_worker.build` does the same."""
    return f"{owner}_{class_name.lower()}"


def _without_default_name(layer: Any, owner: str) -> Any:
    """The inner layer without its name where that says nothing."""
    if not isinstance(layer, dict) or not isinstance(layer.get("config"), dict):
        return layer
    config: dict[str, Any] = dict(layer["config"])
    if config.get("name") == default_name(owner, str(layer.get("class_name"))):
        del config["name"]
    if layer.get("class_name") == "StackedRNNCells" and isinstance(config.get("cells"), list):
        config["cells"] = [
            _without_default_name(cell, f"{owner}_{index}") for index, cell in enumerate(config["cells"])
        ]
    return {**layer, "config": config}


def _without_mirror(config: dict[str, Any]) -> dict[str, Any]:
    """Bidirectional's config without the backward layer that it would make from the forward one."""
    forward: Any = config.get("layer")
    backward: Any = config.get("backward_layer")
    if not _is_layer(forward) or not _is_layer(backward):
        return config
    name = str(forward["config"].get("name")).removeprefix("forward_")
    mirrored = {**forward["config"], "name": f"backward_{name}", "go_backwards": True}
    if forward.get("class_name") != backward.get("class_name") or backward["config"] != mirrored:
        return config
    kept = {key: value for key, value in config.items() if key != "backward_layer"}
    return {**kept, "layer": {**forward, "config": {**forward["config"], "name": name}}}


def _is_layer(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("config"), dict)
