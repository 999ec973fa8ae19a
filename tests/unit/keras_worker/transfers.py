"""Trainings that begin with the weights of an import, driven through the commands of children."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from core.base.settings import Settings
from core.graphs.schema import check_graph
from core.importing.reader import ModelReader, ReadModel
from core.keras_worker.pool import ChildPool
from core.training.weight_sources import mark_sources
from tests.unit.keras_worker.trainings import Job, Sample

Nodes = list[dict[str, Any]]
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Transfer:
    """An import as it was read, from which trainings are made."""

    read: ReadModel

    def graph(self, edit: Callable[[Nodes], None] | None = None) -> dict[str, Any]:
        """The checked graph, after `edit` of its nodes, with the sources of its weights."""
        imported = self.read.payload["nodes"]
        nodes = [{**node, "params": {**node["params"]}} for node in imported]
        if edit is not None:
            edit(nodes)
        return dict(mark_sources(check_graph(nodes, self.read.payload["edges"]), imported))

    def job(self, work: Path, columns: int, edit: Callable[[Nodes], None] | None = None, **changes: Any) -> Job:
        """A training of the imported graph, after `edit` of its nodes, that begins with its weights.

        `initial_weights=None` among the changes makes it one that does not.
        """
        assert self.read.weights is not None, self.read.note
        x = np.random.default_rng(5).standard_normal((60, columns)).astype(np.float32)
        y = x.sum(axis=1)
        changes = {"epochs": 2, "learning_rate": 0.1, "initial_weights": "an import", **changes}
        sample = Sample(self.graph(edit), x, y.tolist(), y, changes)
        made = Job(sample, work)
        shutil.copy(self.read.weights, work / "initial_weights.bin")
        return made


async def read_import(pool: ChildPool, file: Path, folder: Path) -> Transfer:
    """The import of a model file, read in `folder` as the app reads it."""
    path = folder / f"model{file.suffix}"
    shutil.copy(file, path)
    return Transfer(await ModelReader(pool, Settings()).read("owner", path, file.name, ""))


def freeze(nodes: Nodes, *, but: Iterable[str] = ()) -> None:
    for node in nodes:
        if node["label"] not in but:
            node["params"]["trainable"] = False


def arrays_of(model: Path) -> Arrays:
    """The weights of the layers in a .keras file, by their names there."""
    found: Arrays = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and name.startswith("layers/"):
            found[name.removeprefix("layers/")] = item[()]

    with h5py.File(io.BytesIO(zipfile.ZipFile(model).read("model.weights.h5"))) as file:
        file.visititems(visit)
    return found


def changed(before: Arrays, after: Arrays) -> set[str]:
    """The names of weights that are not the same, to the last bit."""
    assert before.keys() == after.keys()
    return {name for name, array in before.items() if not np.array_equal(array, after[name])}
