"""Small trainings of several kinds of network, for tests of the engine: graphs, parameters, data, and their numbers."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from core.keras_worker.checkpoint import newest_good_checkpoint
from core.keras_worker.child import Child, OnEvent

SEED = 7
THREADS = 2
NO_LIMITS = {"rows": 10**12, "parameters": 10**12}
DEFAULTS: dict[str, Any] = {
    "optimizer": "adam",
    "loss": "mse",
    "metrics": [],
    "epochs": 3,
    "batch_size": 16,
    "validation_split": 0.2,
    "test_split": 0.1,
    "y_one_hot": False,
    "learning_rate": None,
    "shuffle": True,
    "validation_batch_size": None,
    "early_stopping": False,
    "es_monitor": "val_loss",
    "es_mode": "auto",
    "es_patience": 5,
    "es_min_delta": 0.0,
    "es_restore_best_weights": True,
    "reduce_lr": False,
    "rlrop_monitor": "val_loss",
    "rlrop_factor": 0.1,
    "rlrop_patience": 3,
    "rlrop_min_lr": 1e-6,
    "save_best_model": False,
    "save_training_logs": False,
    "clipnorm": None,
    "clipvalue": None,
    "auto_balance": False,
    "lr_schedule": "constant",
    "lr_decay_steps": 1000,
    "lr_decay_rate": 0.96,
    "seed": SEED,
    "standardize": False,
}


def chain(*layers: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """A checked graph of layers one after the other."""
    nodes = [
        {"id": f"n{at}", "type": name, "label": name, "name": f"{name.lower()}_{at}", "params": params}
        for at, (name, params) in enumerate(layers)
    ]
    edges = [
        {
            "source": f"n{at}",
            "source_call": 0,
            "output": 0,
            "target": f"n{at + 1}",
            "call": 0,
            "argument": 0,
            "path": None,
        }
        for at in range(len(layers) - 1)
    ]
    return {"nodes": nodes, "edges": edges, "order": [[node["id"], 0] for node in nodes]}


def mlp(inputs: int, outputs: int = 1, activation: str = "linear") -> dict[str, Any]:
    return chain(
        ("Input", {"shape": [inputs]}),
        ("Dense", {"units": 8, "activation": "relu"}),
        ("Dense", {"units": outputs, "activation": activation}),
    )


@dataclass(frozen=True)
class Sample:
    """A data set and a network for it. `y` holds what stands in the CSV; `labels` what Keras is to be given."""

    graph: dict[str, Any]
    x: np.ndarray
    y: list[Any]
    labels: np.ndarray
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def params(self) -> dict[str, Any]:
        names = [f"x{at}" for at in range(self.x.shape[1])]
        return DEFAULTS | {"x_columns": names, "y_column": "y"} | self.changes

    def write(self, path: Path) -> None:
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*self.params["x_columns"], "y"])
            writer.writerows([*row, label] for row, label in zip(self.x.tolist(), self.y, strict=True))


def _numbers(rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((rows, columns)).astype(np.float32)


def mlp_with_dropout() -> Sample:
    """Regression; stops early and goes back to the best weights, lowers the learning rate, keeps the best model."""
    x = _numbers(331, 6)
    y = (x @ np.arange(6, dtype=np.float32) + np.sin(3 * x[:, 0])).astype(np.float32)
    graph = chain(
        ("Input", {"shape": [6]}),
        ("Dense", {"units": 16, "activation": "relu"}),
        ("Dropout", {"rate": 0.3}),
        ("Dense", {"units": 1}),
    )
    changes = {
        "metrics": ["mae", "R2Score"],
        "epochs": 6,
        "learning_rate": 0.05,
        "early_stopping": True,
        "es_patience": 2,
        "reduce_lr": True,
        "rlrop_patience": 0,
        "rlrop_factor": 0.5,
        "save_best_model": True,
        "save_training_logs": True,
    }
    return Sample(graph, x, y.tolist(), y, changes)


def cnn_with_augmentation() -> Sample:
    """Three classes of 8 × 8 images; batch normalisation, class weights, cosine schedule."""
    x = _numbers(210, 64)
    labels = (x[:, :8].sum(axis=1) > 0).astype(np.int32) + (x[:, 0] > 1)
    graph = chain(
        ("Input", {"shape": [64]}),
        ("Reshape", {"target_shape": [8, 8, 1]}),
        ("RandomFlip", {"mode": "horizontal_and_vertical"}),
        ("RandomTranslation", {"height_factor": 0.2, "width_factor": 0.2}),
        ("Conv2D", {"filters": 4, "kernel_size": [3, 3]}),
        ("BatchNormalization", {}),
        ("Activation", {"activation": "relu"}),
        ("SpatialDropout2D", {"rate": 0.2}),
        ("Flatten", {}),
        ("Dense", {"units": 3, "activation": "softmax"}),
    )
    changes = {
        "loss": "SparseCategoricalCrossentropy",
        "metrics": ["accuracy"],
        "auto_balance": True,
        "lr_schedule": "cosine",
        "lr_decay_steps": 40,
        "learning_rate": 0.01,
        "validation_batch_size": 25,
    }
    return Sample(graph, x, labels.tolist(), labels, changes)


def recurrent() -> Sample:
    """Two classes given as texts; recurrent dropout, clipped gradients."""
    x = _numbers(90, 12)
    labels = (x[:, 3] > 0).astype(np.float32)
    graph = chain(
        ("Input", {"shape": [12]}),
        ("Reshape", {"target_shape": [4, 3]}),
        ("LSTM", {"units": 5, "dropout": 0.2, "recurrent_dropout": 0.2}),
        ("Dense", {"units": 1, "activation": "sigmoid"}),
    )
    changes = {"loss": "binary_crossentropy", "metrics": ["accuracy", "AUC"], "clipnorm": 0.5}
    return Sample(graph, x, ["yes" if label else "no" for label in labels], labels, changes)


def moving_average() -> Sample:
    """One-hot labels; an optimizer that keeps a moving average of the weights; exponential schedule."""
    x = _numbers(200, 5)
    labels = (x[:, 0] > 0).astype(np.int32) + (x[:, 1] > 0)
    graph = chain(
        ("Input", {"shape": [5]}),
        ("GaussianNoise", {"stddev": 0.1}),
        ("Dense", {"units": 8, "activation": "gelu"}),
        ("LayerNormalization", {}),
        ("AlphaDropout", {"rate": 0.1}),
        ("Dense", {"units": 3, "activation": "softmax"}),
    )
    changes = {
        "optimizer": "AdamW",
        "use_ema": True,
        "ema_momentum": 0.9,
        "ema_overwrite_frequency": 7,
        "loss": "categorical_crossentropy",
        "metrics": ["acc"],
        "clipvalue": 0.2,
        "lr_schedule": "exponential",
        "lr_decay_steps": 10,
        "lr_decay_rate": 0.9,
    }
    return Sample(graph, x, labels.tolist(), np.eye(3, dtype=np.float32)[labels], changes)


def long_sample() -> Sample:
    """A training that no test waits for."""
    x = _numbers(100, 3)
    return Sample(mlp(3), x, x[:, 0].tolist(), x[:, 0], {"epochs": 100_000})


SAMPLES = {
    "mlp": mlp_with_dropout,
    "cnn": cnn_with_augmentation,
    "rnn": recurrent,
    "ema": moving_average,
}


@dataclass
class Job:
    """A training in a work folder of its own, driven through the commands of a child."""

    sample: Sample
    work: Path

    def __post_init__(self) -> None:
        self.work.mkdir(parents=True, exist_ok=True)
        self.csv = self.work / "source.csv"
        if not self.csv.exists():
            self.sample.write(self.csv)

    @property
    def arguments(self) -> dict[str, Any]:
        return {
            "work": str(self.work),
            "graph": self.sample.graph,
            "params": self.sample.params,
            "threads": THREADS,
            "seed": SEED,
            "limits": NO_LIMITS,
        }

    async def prepare(self, child: Child, **more: Any) -> dict[str, Any]:
        return await child.call("prepare", self.arguments | {"csv": str(self.csv)} | more)

    async def train(self, child: Child, on_event: OnEvent | None = None, **more: Any) -> dict[str, Any]:
        return await child.call("train", self.arguments | {"seconds": None} | more, on_event=on_event)

    async def finish(self, child: Child, **more: Any) -> dict[str, Any]:
        return await child.call("finish", self.arguments | more)

    async def run(self, child: Child) -> dict[str, Any]:
        """All of it, in one child; returns what `finish` returns."""
        await self.prepare(child)
        await self.train(child)
        return await self.finish(child)

    def hash_of_state(self, arrays: int | None = None) -> str:
        """SHA-256 over the first `arrays` variables (all: model, optimizer, metrics) of the newest checkpoint."""
        checkpoint = newest_good_checkpoint(self.work / "checkpoints")
        assert checkpoint is not None
        return hash_of(checkpoint.groups["state"][:arrays])


def hash_of(arrays: list[np.ndarray]) -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()
