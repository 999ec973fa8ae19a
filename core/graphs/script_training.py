"""The end of an exported script: loading data and fitting, as a person would write it next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CSV = '''

def load_data(path):
    """Features and target of a CSV file with a header; the last column is the target."""
    table = np.genfromtxt(path, delimiter=",", skip_header=1, dtype="float32")
    x, y = table[:, :-1], table[:, -1]
    return x.reshape({shape}), y
'''
_ARRAYS = '''

def load_data(path):
    """Arrays of an .npz file: x0, x1, … for the inputs, y0, y1, … for the outputs."""
    arrays = np.load(path)
    x = [arrays[name] for name in sorted(arrays.files) if name.startswith("x")]
    y = [arrays[name] for name in sorted(arrays.files) if name.startswith("y")]
    return x[0] if len(x) == 1 else x, y[0] if len(y) == 1 else y
'''
_MAIN = """

def main():
    model = build_model_py()
    model.summary()
    if len(sys.argv) < 2:
        return
    x, y = load_data(sys.argv[1])
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=1e-3),
        loss="{loss}",{metrics}
    )
    model.fit(x, y, epochs=100, batch_size=32, validation_split=0.1)
    model.save(MODEL_NAME + ".keras")


if __name__ == "__main__":
    main()
"""


def training_code(checked: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """`load_data` and `main` for the model: a CSV where one table is enough, else arrays."""
    inputs, outputs = facts["input_shape"], facts["output_shape"]
    tabular = len(inputs) == 1 and len(outputs) == 1 and len(outputs[0]) == 2 and None not in inputs[0][1:]
    load = _CSV.format(shape=_reshape(inputs[0])) if tabular else _ARRAYS
    loss, metric = _loss(checked, outputs)
    metrics = f'\n        metrics=["{metric}"],' if len(outputs) == 1 else ""
    return load + _MAIN.format(loss=loss, metrics=metrics)


def _reshape(shape: list[int | None]) -> str:
    return "(" + ", ".join(["-1", *(str(size) for size in shape[1:])]) + ("," if len(shape) == 1 else "") + ")"


def _loss(checked: Mapping[str, Any], outputs: list[list[int | None]]) -> tuple[str, str]:
    """The usual loss and metric for the activation of the last layer."""
    last = checked["nodes"][-1] if len(outputs) == 1 else {"params": {}}
    used = {wire["source"] for wire in checked["edges"]}
    ends = [node for node in checked["nodes"] if node["id"] not in used]
    activation = (ends[0] if len(ends) == 1 else last)["params"].get("activation")
    if activation == "softmax":
        return "sparse_categorical_crossentropy", "accuracy"
    if activation == "sigmoid":
        return "binary_crossentropy", "accuracy"
    return "mean_squared_error", "mean_absolute_error"
