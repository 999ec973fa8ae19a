"""Trains every shipped preset for one epoch on random data of its shape.

`python -m tests.unit.graphs.preset_trainings` prints `{slug: final loss}` from the TensorFlow backend.
"""

from __future__ import annotations

import json
from typing import Any


def main() -> None:
    import keras
    import numpy as np

    from core.graphs.preset import shipped
    from core.graphs.schema import check_graph
    from core.keras_worker.build import build_model

    random = np.random.default_rng(7)

    def data(tensor: Any) -> Any:
        shape = (8, *tensor.shape[1:])
        return random.integers(0, 9, shape) if "int" in tensor.dtype else random.random(shape, dtype="float32")

    losses: dict[str, float] = {}
    for preset in shipped().values():
        model = build_model(check_graph(preset.graph["nodes"], preset.graph["edges"]))
        targets, loss = [], []
        for tensor in model.outputs:
            layer = tensor._keras_history.operation
            classes = getattr(layer, "activation", None) is keras.activations.softmax
            loss.append("sparse_categorical_crossentropy" if classes else "mse")
            targets.append(random.integers(0, tensor.shape[-1], 8) if classes else data(tensor))
        single = len(targets) == 1
        model.compile(loss=loss[0] if single else loss)
        inputs = [data(tensor) for tensor in model.inputs]
        history = model.fit(inputs if len(inputs) > 1 else inputs[0], targets[0] if single else targets, verbose=0)
        losses[preset.slug] = history.history["loss"][-1]
    print(json.dumps(losses))


if __name__ == "__main__":
    main()
