"""Names as Keras makes and takes them, of losses, metrics and layers; free of Keras, for both sides."""

from __future__ import annotations

import re

LOSSES = {
    "mse": "MeanSquaredError",
    "mae": "MeanAbsoluteError",
    "mape": "MeanAbsolutePercentageError",
    "msle": "MeanSquaredLogarithmicError",
    "bce": "BinaryCrossentropy",
    "kld": "KLDivergence",
    "kullbackleiblerdivergence": "KLDivergence",
    "logcosh": "LogCosh",
}
METRICS = LOSSES | {"rmse": "RootMeanSquaredError", "r2": "R2Score"}

# These become the accuracy that fits the loss, and are dropped for a regression.
ACCURACY = frozenset({"accuracy", "acc"})


def plain(name: str) -> str:
    """The name without case, underscores and blanks, in which people differ."""
    return name.replace("_", "").replace(" ", "").lower()


def snake_case(class_name: str) -> str:
    """`BatchNormalization` → `batch_normalization`, `Conv2D` → `conv2d`, as Keras names layers."""
    words = re.sub(r"\W+", "", class_name)
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", words)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()
