"""Models ready to predict, in the memory of one child: those used last, as many as fit."""

import ctypes
import gc
import os
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from core.keras_worker.artifacts import read_preparation

CHUNK_ROWS = 1024


class Predictor:
    """A loaded model behind one trace: `Model.predict` would cost 50 ms a call (measured)."""

    def __init__(self, path: Path) -> None:
        self.preparation = read_preparation(path)
        model: Any = keras.models.load_model(path, compile=False)
        signature = tf.TensorSpec([None, *model.inputs[0].shape[1:]], model.inputs[0].dtype)
        traced = tf.function(lambda x: model(x, training=False), autograph=False, input_signature=[signature])
        self._run = traced.get_concrete_function()
        self.units = int(np.prod(model.outputs[0].shape[1:]))
        self.bytes = sum(variable.numpy().nbytes for variable in model.variables)

    @property
    def columns(self) -> list[str]:
        """The names of the columns that the network takes, in their order."""
        return [column["name"] for column in self.preparation["columns"]]

    def outputs(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """rows × outputs for at most `CHUNK_ROWS` prepared rows."""
        return np.asarray(self._run(tf.constant(x)), dtype=np.float32).reshape(len(x), -1)


_held: OrderedDict[tuple[str, int, int], Predictor] = OrderedDict()


def predictor(path: Path, most_bytes: int) -> Predictor:
    """The model of that file: from memory while the file is the same, otherwise loaded.

    Then those that were not used for longest are given up until the weights of all take at most `most_bytes`; the one
    asked for stays, however large.
    """
    status = os.stat(path)
    key = (str(path), status.st_mtime_ns, status.st_size)
    if key not in _held:
        _held[key] = Predictor(path)
    _held.move_to_end(key)
    if len(_held) > 1 and _bytes_held() > most_bytes:
        while len(_held) > 1 and _bytes_held() > most_bytes:
            _held.popitem(last=False)
        _give_memory_back()
    return _held[key]


def _bytes_held() -> int:
    return sum(held.bytes for held in _held.values())


def _give_memory_back() -> None:
    """Graphs and their models refer to each other in circles, and the C library keeps what was freed for itself."""
    gc.collect()
    if sys.platform == "linux":
        try:
            ctypes.CDLL("libc.so.6").malloc_trim(0)
        except (OSError, AttributeError):
            return  # another C library than glibc
