"""Optimizers, losses and metrics by the names people use: class name, snake name or alias, in any case."""

from typing import Any

import keras

from core.keras_worker.aliases import LOSSES, METRICS, plain
from core.keras_worker.errors import Refused


def optimizer_class(name: str) -> type[keras.Optimizer]:
    """Raises Refused for a name Keras does not know."""
    return _find(name, keras.optimizers, keras.Optimizer, {}, "optimizer")


def loss_class(name: str) -> type[keras.Loss]:
    """Raises Refused for a name Keras does not know."""
    return _find(name, keras.losses, keras.Loss, LOSSES, "loss")


def metric_class(name: str) -> type[keras.Metric]:
    """Raises Refused for a name Keras does not know."""
    return _find(name, keras.metrics, keras.Metric, METRICS, "metrics")


def _find(name: str, module: Any, base: type, aliases: dict[str, str], field: str) -> Any:
    wanted = plain(aliases.get(plain(name), name))
    for candidate in dir(module):
        value = getattr(module, candidate)
        if isinstance(value, type) and issubclass(value, base) and value is not base and plain(candidate) == wanted:
            return value
    raise Refused({field: [f"Keras has none that is called '{name}'; choose one from the list."]})
