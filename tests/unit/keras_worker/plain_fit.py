"""The same trainings by a plain script: `model.fit` and Keras's callbacks, given the rows in the engine's order.

Run as `python -m tests.unit.keras_worker.plain_fit FOLDER`; writes `<sample>.json` for every sample into the folder.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from core.keras_worker.build import build_model
from tests.unit.keras_worker.trainings import SAMPLES, SEED, THREADS, Sample, hash_of

LOSSES = {"mse": "mse", "SparseCategoricalCrossentropy": "sparse_categorical_crossentropy"}
METRICS = {
    "mlp": [keras.metrics.MeanAbsoluteError, keras.metrics.R2Score],
    "cnn": [keras.metrics.SparseCategoricalAccuracy],
    "rnn": [keras.metrics.BinaryAccuracy, keras.metrics.AUC],
    "ema": [keras.metrics.CategoricalAccuracy],
}
SCHEDULES = {
    "cnn": lambda: keras.optimizers.schedules.CosineDecay(0.01, 40),
    "ema": lambda: keras.optimizers.schedules.ExponentialDecay(0.001, 10, 0.9),
}


class EpochOrder(keras.utils.PyDataset):
    """Gives the training rows in the order that the engine documents: a permutation by Generator([seed, epoch])."""

    def __init__(self, parts: list[np.ndarray], batch_size: int) -> None:
        super().__init__()
        self._parts, self._batch_size, self._epoch = parts, batch_size, -1
        self._order = np.arange(len(parts[0]))  # for the batch that Keras looks at before the first epoch

    def __len__(self) -> int:
        return -(-len(self._parts[0]) // self._batch_size)

    def on_epoch_begin(self) -> None:
        self._epoch += 1
        self._order = np.random.default_rng([SEED, self._epoch]).permutation(len(self._parts[0]))

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        rows = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        return tuple(part[rows] for part in self._parts)


def plain_training(name: str, sample: Sample, folder: Path) -> dict[str, Any]:
    params = sample.params
    keras.utils.clear_session()
    keras.utils.set_random_seed(SEED)
    model = build_model(sample.graph)
    model.compile(
        optimizer=_optimizer(name, params),
        loss=LOSSES.get(params["loss"], params["loss"]),
        metrics=[metric() for metric in METRICS[name]],
    )
    y = sample.labels if sample.labels.ndim == 2 or name == "cnn" else sample.labels.reshape(-1, 1)
    order = np.arange(len(y))
    np.random.default_rng(42).shuffle(order)
    test, validation = int(len(y) * params["test_split"]), int(len(y) * params["validation_split"])
    train = len(y) - test - validation
    held_out = order[train : train + validation]
    parts = [sample.x[order[:train]], y[order[:train]]]
    if params["auto_balance"]:
        classes, counts = np.unique(parts[1], return_counts=True)
        weights = {int(label): train / (len(classes) * count) for label, count in zip(classes, counts, strict=True)}
        parts.append(np.array([weights[int(label)] for label in parts[1]], dtype=np.float32))
    history = model.fit(
        EpochOrder(parts, params["batch_size"]),
        epochs=params["epochs"],
        validation_data=(sample.x[held_out], y[held_out]),
        validation_batch_size=params["validation_batch_size"] or params["batch_size"],
        shuffle=False,  # of batches, on top of the order above
        callbacks=_callbacks(name, params, folder),
        verbose=0,
    ).history
    arrays = [variable.numpy() for variable in (*model.variables, *model.optimizer.variables)]
    last = order[train + validation :]
    evaluation = model.evaluate(sample.x[last], y[last], params["batch_size"], verbose=0, return_dict=True)
    result: dict[str, Any] = {
        "arrays": len(arrays),
        "hash": hash_of(arrays),
        "history": {key: [float(value) for value in values] for key, values in history.items()},
        "evaluation": {key: float(value) for key, value in evaluation.items()},
    }
    if params["save_best_model"]:
        best: Any = keras.models.load_model(folder / f"{name}.keras")
        result["best"] = hash_of(best.get_weights())
        result["log"] = (folder / f"{name}.csv").read_text()
    return result


def _optimizer(name: str, params: dict[str, Any]) -> keras.Optimizer:
    named = ("clipnorm", "clipvalue", "learning_rate")
    arguments: dict[str, Any] = {key: params[key] for key in named if params[key] is not None}
    arguments |= {key: params[key] for key in params if key.startswith(("use_ema", "ema_"))}
    if name in SCHEDULES:
        arguments["learning_rate"] = SCHEDULES[name]()
    return getattr(keras.optimizers, "AdamW" if name == "ema" else "Adam")(**arguments)


def _callbacks(name: str, params: dict[str, Any], folder: Path) -> list[Any]:
    if not params["early_stopping"]:
        return []
    return [
        keras.callbacks.ModelCheckpoint(folder / f"{name}.keras", monitor="val_loss", save_best_only=True),
        keras.callbacks.EarlyStopping("val_loss", patience=params["es_patience"], restore_best_weights=True),
        keras.callbacks.ReduceLROnPlateau(
            "val_loss", factor=params["rlrop_factor"], patience=params["rlrop_patience"], min_lr=params["rlrop_min_lr"]
        ),
        keras.callbacks.CSVLogger(folder / f"{name}.csv"),
    ]


def main(folder: Path) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    for name, make in SAMPLES.items():
        (folder / f"{name}.json").write_text(json.dumps(plain_training(name, make(), folder)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
