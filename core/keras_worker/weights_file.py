"""The weights of an import in one file: arrays one after the other, then an index in JSON, then a seal.

    arrays   little-endian, in the order of the index
    index    {"named": bool, "layers": [{"path": […], "problem": "", "arrays": [[name, dtype, shape], …]}, …]}
    seal     length of the index, SHA-256 of all that stands before, and eight bytes that say what this is

Nothing in it could run. It is written by a child that has read a stranger's file, so its reader takes nothing on trust.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from core.keras_worker.errors import Refused

# What a weight may be; texts, records and references are none.
DTYPES = frozenset(
    ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
)

_SEAL = struct.Struct("<Q32s8s")
_MARK = b"weights1"
_BLOCK = 4 * 1024 * 1024

LayerPath = tuple[str, ...]


@dataclass(frozen=True)
class KeptLayer:
    """The weights of one layer of the file; `problem` says why they cannot be used, where they cannot."""

    arrays: Mapping[str, np.ndarray]
    problem: str


@dataclass(frozen=True)
class KeptWeights:
    """All layers by the names that lead to them, those of nested models one after the other.

    `named`: arrays are called as Keras 2 names weights (`both/forward_lstm/lstm_cell/kernel`); else by their place
    inside the layer as Keras 3 saves them (`forward_layer/cell/0`).
    """

    layers: Mapping[LayerPath, KeptLayer]
    named: bool


class WeightsWriter:
    """Writes such a file: blocks of arrays, then the index that says what they are."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def append(self, block: bytes | memoryview) -> None:
        self._digest.update(block)
        self._file.write(block)

    def finish(self, index: Mapping[str, Any]) -> None:
        body = json.dumps(index).encode()
        self.append(body)
        self._file.write(_SEAL.pack(len(body), self._digest.digest(), _MARK))


def read_weights(path: Path) -> KeptWeights:
    """What is in the file; its arrays stay on disk until they are looked at. Raises Refused if it is damaged."""
    try:
        return _read(np.memmap(path, np.uint8, "r"))
    except (ValueError, KeyError, TypeError, AttributeError, struct.error, RecursionError):
        raise Refused("The weights of the import are damaged; import the model again.") from None


def _read(content: np.ndarray) -> KeptWeights:
    """Raises any of the errors above."""
    size = len(content) - _SEAL.size
    length, digest, mark = _SEAL.unpack(content[max(size, 0) :].tobytes())
    if mark != _MARK or length > size or _digest(content[:size]) != digest:
        raise ValueError("the seal is broken")
    index = json.loads(content[size - length : size].tobytes())
    layers: dict[LayerPath, KeptLayer] = {}
    begin = 0
    for entry in index["layers"]:
        arrays: dict[str, np.ndarray] = {}
        for name, dtype, shape in entry["arrays"]:
            end = begin + _bytes(dtype, shape)
            if end > size - length:
                raise ValueError("the index promises more than there is")
            arrays[str(name)] = content[begin:end].view(np.dtype(dtype).newbyteorder("<")).reshape(shape)
            begin = end
        layers[tuple(str(step) for step in entry["path"])] = KeptLayer(arrays, str(entry["problem"]))
    return KeptWeights(layers, index["named"] is True)


def _bytes(dtype: Any, shape: Any) -> int:
    if dtype not in DTYPES or not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError("the index holds an array that is none")
    return math.prod(shape) * np.dtype(dtype).itemsize


def _digest(content: np.ndarray) -> bytes:
    digest = hashlib.sha256()
    for start in range(0, len(content), _BLOCK):
        digest.update(content[start : start + _BLOCK].data)
    return digest.digest()
