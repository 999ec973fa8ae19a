"""The prepared data set on disk, as training reads it: rows in the order of an epoch, in chunks from a memory map.

`data/` holds `x.f32` (rows × features, float32), `y.bin` (one number a row) and `manifest.json`, which is written
last and says how to read them.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = tuple[NDArray[Any], ...]
Indices = NDArray[np.int64]

# The contract's split: the same for every training of the same file, whatever the seed.
SPLIT_SEED = 42


@dataclass(frozen=True)
class Split:
    """Row numbers of the three parts."""

    train: Indices
    validation: Indices
    test: Indices


def split_rows(rows: int, validation_split: float, test_split: float) -> Split:
    """Shuffles the row numbers with a Generator seeded 42 and cuts them: train, validation, test, in this order."""
    order = np.arange(rows, dtype=np.int64)
    np.random.default_rng(SPLIT_SEED).shuffle(order)
    test = int(rows * test_split)
    validation = int(rows * validation_split)
    train = rows - validation - test
    return Split(order[:train], order[train : train + validation], order[train + validation :])


def epoch_order(train: Indices, shuffle: bool, seed: int, epoch: int) -> Indices:
    """The order of the training rows in this epoch (from 0): a function of seed and epoch and nothing else."""
    if not shuffle:
        return train
    return train[np.random.default_rng([seed, epoch]).permutation(len(train))]


class Dataset:
    """Reads batches from the files that `prepare` wrote."""

    def __init__(self, folder: Path, manifest: dict[str, Any], validation_split: float, test_split: float) -> None:
        rows, features = manifest["rows"], manifest["features"]
        self.manifest = manifest
        self.x = np.memmap(folder / "x.f32", dtype="<f4", mode="r", shape=(rows, features))
        self.target: dict[str, Any] = manifest["preparation"]["target"]
        self.y = np.fromfile(folder / "y.bin", dtype="<i4" if self.is_class else "<f4")
        self.split = split_rows(rows, validation_split, test_split)
        self.class_weights: NDArray[np.float32] | None = None

    @property
    def is_class(self) -> bool:
        """Whether y holds class numbers; otherwise it holds plain numbers."""
        return self.target["classes"] is not None

    def rows(self, indices: Indices, weighted: bool) -> Rows:
        """x (n × features, float32), y in the form that the loss takes, and the class weights if `weighted`."""
        numbers = self.y[indices]
        x, y = self.x[indices], self._shaped(numbers)
        if weighted and self.class_weights is not None:
            return x, y, self.class_weights[numbers]
        return x, y

    def balance_classes(self) -> None:
        """Weighs each class by rows / (classes × rows of the class), counted over the training rows."""
        counts = np.bincount(self.y[self.split.train], minlength=len(self.target["classes"]))
        present = np.maximum(counts, 1)
        self.class_weights = (len(self.split.train) / (np.count_nonzero(counts) * present)).astype(np.float32)

    def _shaped(self, numbers: NDArray[Any]) -> NDArray[Any]:
        match self.target["form"]:
            case "one_hot":
                return np.eye(len(self.target["classes"]), dtype=np.float32)[numbers]
            case "index":
                return numbers
            case _:
                return numbers.astype(np.float32).reshape(-1, 1)


def open_dataset(work: Path, params: dict[str, Any]) -> Dataset:
    """The data set prepared in this work folder."""
    folder = work / "data"
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    data = Dataset(folder, manifest, params["validation_split"], params["test_split"])
    if params["auto_balance"] and data.is_class:
        data.balance_classes()
    return data
