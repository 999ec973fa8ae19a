"""Models with weights of their own, as Keras itself writes them: `python -m tests.weighted_models FOLDER`.

Written on the light backend, without TensorFlow; the weights are random numbers, the same each time. `every` has a
layer of every kind whose weights lie in a way of their own, `held` layers whose weights change in training in ways of
their own, `base` is small.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

COLUMNS = {"every": 20, "held": 8, "base": 2}


def models() -> dict[str, Any]:
    import keras
    from keras import layers

    def nested(size: int) -> Any:
        x = keras.Input((size,), name="inner_x")
        y = layers.LayerNormalization(name="level")(layers.Dense(size, name="left")(x))
        return keras.Model(x, layers.Dense(size, name="right")(y), name="nested")

    def every(with_operation: bool) -> Any:
        both: Any = layers.Bidirectional
        inner = nested(6)
        step = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="each"), layers.BatchNormalization()])
        x = keras.Input((COLUMNS["every"],), name="x")
        y = layers.Reshape((5, 4), name="table")(layers.Normalization(name="scale")(x))
        y = layers.TimeDistributed(step, name="steps")(y)
        y = both(layers.LSTM(3, return_sequences=True, name="memory"), name="both")(y)
        y = layers.RNN([layers.LSTMCell(3), layers.LSTMCell(3)], return_sequences=True, name="cells")(y)
        y = layers.MultiHeadAttention(2, 3, name="look")(y, y)
        y = layers.SeparableConv1D(4, 2, name="apart")(y)
        y = layers.Conv1D(3, 2, name="pairs")(y)
        y = layers.Dropout(0.1, name="drop")(layers.GRU(6, name="gate")(y))
        y = layers.Add(name="sum")([inner(y), inner(inner(y))])
        # An .h5 file does not tell this operation from the layer Add.
        y = y + 1.0 if with_operation else y
        y = layers.SpectralNormalization(layers.Dense(4, name="inside"), name="norm")(y)
        y = layers.BatchNormalization(name="batch")(layers.Dense(4, name="same")(y))
        y = layers.Dense(4, name="same_again")(y)
        return keras.Model(x, layers.Dense(1, name="out")(y), name="every")

    def held() -> Any:
        x = keras.Input((COLUMNS["held"],), name="x")
        y = layers.Reshape((2, 4), name="table")(layers.Normalization(name="scale")(x))
        y = layers.MultiHeadAttention(2, 3, name="look")(y, y)
        y = layers.TimeDistributed(layers.BatchNormalization(), name="steps")(y)
        y = nested(8)(layers.Flatten(name="flat")(y))
        y = layers.SpectralNormalization(layers.Dense(4, name="inside"), name="norm")(y)
        y = layers.BatchNormalization(name="batch")(y)
        return keras.Model(x, layers.Dense(1, name="out")(y), name="held")

    def base() -> Any:
        x = keras.Input((COLUMNS["base"],), name="x")
        y = layers.Dense(4, activation="relu", name="hidden")(layers.Normalization(name="scale")(x))
        y = layers.BatchNormalization(name="batch")(y)
        return keras.Model(x, layers.Dense(3, name="top")(y), name="base")

    return {
        "every.keras": every(with_operation=True),
        "every.h5": every(with_operation=False),
        "held.keras": held(),
        "base.keras": base(),
        "base.h5": base(),
    }


def fill(model: Any) -> None:
    """Random numbers for all weights; what is a variance or a count is above zero."""
    chance = np.random.default_rng(3)
    for variable in model.weights:
        values = chance.normal(0, 0.5, tuple(variable.shape))
        if "variance" in variable.name or variable.name == "count":
            values = np.abs(values) + 1
        variable._value = np.asarray(values, variable.dtype)


def main() -> None:
    from core.keras_worker import light_backend

    light_backend.install()
    folder = Path(sys.argv[1])
    for name, model in models().items():
        fill(model)
        model.save(folder / name)


if __name__ == "__main__":
    main()
