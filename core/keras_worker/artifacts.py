"""The files that a finished training leaves: the model with its preparation inside, the best model, the log, a sample
of its rows."""

import csv
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from core.keras_worker.dataset import Dataset
from core.keras_worker.spreadsheet import as_text

# A member of the `.keras` zip beside Keras's own; `keras.models.load_model` reads only those it knows.
PREPARATION_MEMBER = "preparation.json"

_SAMPLE_ROWS = 64


def save_model(model: keras.Model, preparation: dict[str, Any], path: Path) -> None:
    """Writes the model whole or not at all; the preparation of its inputs travels inside the file."""
    part = path.with_name(f"part-{path.name}")
    model.save(part)
    with zipfile.ZipFile(part, "a") as archive:
        archive.writestr(PREPARATION_MEMBER, json.dumps(preparation))
    os.replace(part, path)


def read_preparation(model: Path) -> dict[str, Any]:
    """The preparation inside a model file that `save_model` wrote."""
    with zipfile.ZipFile(model) as archive:
        return json.loads(archive.read(PREPARATION_MEMBER))


def save_best_model(model: keras.Model, weights: list[np.ndarray], preparation: dict[str, Any], path: Path) -> None:
    """Writes the model with other weights, and gives it its own back."""
    final = model.get_weights()
    model.set_weights(weights)
    save_model(model, preparation, path)
    model.set_weights(final)


def write_log(history: dict[str, list[Any]], path: Path) -> None:
    """The history as Keras's CSVLogger lays it out: `epoch` from 0, then the quantities in alphabetical order."""
    part = path.with_name(f"part-{path.name}")
    names = sorted(history)
    with part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", *map(as_text, names)])
        for epoch, values in enumerate(zip(*(history[name] for name in names), strict=True)):
            writer.writerow([epoch, *(as_text(str(value)) for value in values)])
    os.replace(part, path)


def write_sample(data: Dataset, path: Path) -> None:
    """Rows of features as the network sees them (float32, a NumPy file): those of the test first, then others."""
    rows = np.concatenate([data.split.test, data.split.validation, data.split.train])[:_SAMPLE_ROWS]
    part = path.with_name(f"part-{path.name}")
    np.save(part, data.rows(rows, weighted=False)[0])
    os.replace(part, path)
