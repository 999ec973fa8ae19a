"""Model files that Keras itself writes, for the tests of import: `python -m tests.unit.importing.saved_models FOLDER`.

Written on the light backend, without TensorFlow: `branches.keras`, `branches.h5`, `stack.keras`, `stack.h5`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


def models() -> dict[str, Any]:
    import keras
    from keras import layers

    x = keras.Input((8,), name="x")
    left = layers.Dense(4, activation="relu", name="left")(x)
    right = layers.Dense(4, activation="tanh", kernel_initializer="he_normal", name="right")(x)
    y = layers.Dense(2, activation="softmax", name="out")(layers.Concatenate(name="both")([left, right]))
    branches = keras.Model(x, y, name="branches")
    stack = keras.Sequential(
        [keras.Input((5, 3)), layers.LSTM(4, name="memory"), layers.Dropout(0.5, name="drop"), layers.Dense(1)],
        name="stack",
    )
    branches.compile(loss="mse", optimizer="adam")
    return {"branches": branches, "stack": stack}


def main() -> None:
    from core.keras_worker import light_backend

    light_backend.install()
    folder = Path(sys.argv[1])
    for name, model in models().items():
        model.save(folder / f"{name}.keras")
        model.save(folder / f"{name}.h5")


if __name__ == "__main__":
    main()
