"""Stored models for tests of prediction, made without a training, and what to ask a child for."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np

from core.keras_worker.artifacts import save_model
from core.keras_worker.child import Child


def number(name: str, **changes: Any) -> dict[str, Any]:
    """A column of numbers, as a training leaves its preparation."""
    return {"name": name, "kind": "number", "missing": None, "mean": None, "deviation": None} | changes


def text(name: str, categories: list[str]) -> dict[str, Any]:
    return number(name) | {"kind": "text", "categories": categories}


def target(form: str = "number", classes: list[Any] | None = None) -> dict[str, Any]:
    return {"name": "y", "form": form, "classes": classes}


def dense(inputs: int, units: int = 1, activation: str = "linear", hidden: int = 0) -> Any:
    """A small network, the same at each call."""
    keras.utils.set_random_seed(5)
    layers = [keras.layers.Dense(hidden, activation="relu")] if hidden else []
    return keras.Sequential([keras.Input((inputs,)), *layers, keras.layers.Dense(units, activation=activation)])


def stored(
    path: Path, network: Any, columns: list[dict[str, Any]], of: dict[str, Any] | None = None, decimal_mark: str = "."
) -> Path:
    preparation = {"columns": columns, "target": of or target(), "decimal_mark": decimal_mark}
    save_model(network, preparation, path)
    return path


def weighted(network: Any, *weights: Any) -> Any:
    """The network with these weights, given as nested lists or numbers of the layer's shape."""
    pairs = zip(weights, network.weights, strict=True)
    network.set_weights([np.broadcast_to(np.array(value, np.float32), old.shape) for value, old in pairs])
    return network


async def ask(child: Child, model: Path, body: Any, **arguments: Any) -> dict[str, Any]:
    """The answer to a request with this body: bytes as they are, or an object as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    rest = {"table": False, "rows": 10_000, "seconds": 60.0, "memory_bytes": 1 << 30} | arguments
    asked = {"model": str(model), "content": base64.b64encode(content).decode(), **rest}
    result = await child.call("predict", asked)
    return json.loads(result["answer"]) if "answer" in result else result
