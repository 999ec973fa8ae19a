"""The command `predict`: rows in, outputs of a stored model out."""

import os
from collections import OrderedDict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from core.keras_worker.artifacts import read_preparation
from core.keras_worker.commands import Call
from core.keras_worker.preparation import prepare_rows
from core.keras_worker.progress import without_nan

_CHUNK_ROWS = 1024
_MODELS_KEPT = 4


class _Predictor:
    """A loaded model behind one trace; `Model.predict` would cost 50 ms a call (measured)."""

    def __init__(self, path: Path) -> None:
        self.preparation = read_preparation(path)
        model: Any = keras.models.load_model(path, compile=False)
        signature = tf.TensorSpec([None, *model.inputs[0].shape[1:]], model.inputs[0].dtype)
        self.run = tf.function(lambda x: model(x, training=False), autograph=False, input_signature=[signature])


_predictors: OrderedDict[tuple[str, int, int], _Predictor] = OrderedDict()


def predict(call: Call) -> dict[str, Any]:
    """Arguments: `model` (a `.keras` file written by `finish`) and `rows`, values in the order of the training's
    x_columns. Returns `predictions`, one list a row, and for a classifier `labels`, the likeliest class of each row.
    Raises Refused for a cell that the preparation cannot read.

    The preparation is the one inside the model file: the two cannot come apart.
    """
    predictor = _predictor(Path(call.arguments["model"]))
    x = prepare_rows(predictor.preparation, call.arguments["rows"])
    chunks = [
        np.asarray(predictor.run(tf.constant(x[start : start + _CHUNK_ROWS])))
        for start in range(0, len(x), _CHUNK_ROWS)
    ]
    outputs = np.concatenate(chunks).reshape(len(x), -1)
    answer: dict[str, Any] = {"predictions": without_nan(outputs.astype(float).tolist())}
    labels = _labels(predictor.preparation["target"]["classes"], outputs)
    return answer if labels is None else answer | {"labels": labels}


def _labels(classes: list[Any] | None, outputs: NDArray[Any]) -> list[Any] | None:
    """The likeliest class of each row, null where an output is no number; None for what is no classifier."""
    if classes is None:
        return None
    if outputs.shape[1] == len(classes):
        numbers = outputs.argmax(axis=1)
    elif (len(classes), outputs.shape[1]) == (2, 1):
        numbers = (outputs[:, 0] >= 0.5).astype(int)
    else:
        return None
    known = [bool(np.isfinite(row).all()) for row in outputs]
    return [classes[number] if good else None for number, good in zip(numbers, known, strict=True)]


def _predictor(path: Path) -> _Predictor:
    """From memory if the file is still the same; otherwise loaded, and the least recently used one forgotten."""
    status = os.stat(path)
    key = (str(path), status.st_mtime_ns, status.st_size)
    if key not in _predictors:
        _predictors[key] = _Predictor(path)
    _predictors.move_to_end(key)
    while len(_predictors) > _MODELS_KEPT:
        _predictors.popitem(last=False)
    return _predictors[key]
