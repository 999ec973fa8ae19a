"""Copies the weights of an uploaded model out of its HDF5 file: numbers only, and no more of them than are wanted."""

from __future__ import annotations

import errno
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from core.keras_worker.model_weights import SavedLayer
from core.keras_worker.weights_file import DTYPES, WeightsWriter

WEIGHTS_FILE = "weights.bin"

_BLOCK_BYTES = 8 * 1024 * 1024
_hdf5: Any = h5py
# Filters that are part of HDF5 itself. For any other it would look for a program to load.
_FILTERS = (_hdf5.h5z.FILTER_DEFLATE, _hdf5.h5z.FILTER_SHUFFLE, _hdf5.h5z.FILTER_FLETCHER32)

_NONE = "No weights were found in the file, so a training cannot begin with them."


def no_weights(note: str = _NONE) -> dict[str, Any]:
    """The answer about a model whose weights are not kept."""
    return {"weights": None, "weights_note": note}


def keep_weights(found: Iterable[SavedLayer], named: bool, target: Path, most_bytes: int) -> dict[str, Any]:
    """Writes the layers to `target`: `{"weights": {"layers", "parameters"} | None, "weights_note": sentence}`.

    A layer whose weights are no usable numbers is listed in the file with what is wrong, and not counted.
    """
    layers = [(layer, _problem(layer)) for layer in found]
    size = sum(_bytes(item) for layer, problem in layers if not problem for item in layer.datasets.values())
    if size > most_bytes:
        return no_weights(
            f"The weights have {size:,} bytes and were left out; at most {most_bytes:,} are kept (MAX_WEIGHTS_BYTES)."
        )
    try:
        with target.open("wb") as file:
            return _told(_write(layers, named, WeightsWriter(file)))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        target.unlink()
        return no_weights("The weights were left out: the disk of this instance is full. Import the file again later.")


def _write(layers: list[tuple[SavedLayer, str]], named: bool, writer: WeightsWriter) -> list[dict[str, Any]]:
    """Writes the layers, each given with what is wrong with it, and returns the index."""
    index: list[dict[str, Any]] = []
    for layer, problem in layers:
        arrays = {} if problem else layer.datasets
        finite = [_copy(item, writer) for item in arrays.values()]
        index.append(
            {
                "path": layer.path,
                "problem": problem or ("" if all(finite) else "its weights in the file hold NaN or infinity"),
                "arrays": [[name, item.dtype.name, item.shape] for name, item in arrays.items()],
            }
        )
    writer.finish({"named": named, "layers": index})
    return index


def _told(index: list[dict[str, Any]]) -> dict[str, Any]:
    kept = [entry for entry in index if not entry["problem"]]
    left = [entry for entry in index if entry["problem"]]
    note = "" if index else _NONE
    if left:
        first = left[0]
        many = f"The weights of {len(left)} layers cannot be used" if len(left) > 1 else "Some weights cannot be used"
        note = f"{many}: '{'/'.join(first['path'])[:80]}': {first['problem']}."
    if not kept:
        return no_weights(note)
    parameters = sum(math.prod(shape) for entry in kept for _, _, shape in entry["arrays"])
    return {"weights": {"layers": len(kept), "parameters": parameters}, "weights_note": note}


def _problem(layer: SavedLayer) -> str:
    for dataset in layer.datasets.values():
        kind = dataset.id.get_type()
        is_number = isinstance(kind, _hdf5.h5t.TypeFloatID | _hdf5.h5t.TypeIntegerID) and dataset.dtype.name in DTYPES
        if not is_number or dataset.shape is None:
            return "its weights in the file are of a type that is no weight's"
        plan = dataset.id.get_create_plist()
        if any(plan.get_filter(number)[0] not in _FILTERS for number in range(plan.get_nfilters())):
            return "its weights in the file are packed by a rare filter"
    return ""


def _bytes(dataset: h5py.Dataset) -> int:
    return math.prod(dataset.shape) * dataset.dtype.itemsize


def _copy(dataset: h5py.Dataset, writer: WeightsWriter) -> bool:
    """Appends the array; whether all its numbers are finite."""
    finite = True
    for block in _blocks(dataset):
        finite = finite and bool(np.isfinite(block).all())
        writer.append(np.ascontiguousarray(block, block.dtype.newbyteorder("<")).tobytes())
    return finite


def _blocks(dataset: h5py.Dataset) -> Iterator[np.ndarray]:
    """The array from its first to its last row, some rows at a time."""
    if dataset.ndim == 0 or dataset.size == 0:
        yield np.asarray(dataset[()])
        return
    rows = max(1, _BLOCK_BYTES // (_bytes(dataset) // dataset.shape[0] or 1))
    for start in range(0, dataset.shape[0], rows):
        yield np.asarray(dataset[start : start + rows])
