"""Short names of losses and metrics that Keras documents beside their classes; free of Keras, for both sides."""

from __future__ import annotations

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
