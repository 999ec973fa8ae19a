"""Parameters, data and network that do not go together are refused at once, with how to mend it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from core.keras_worker.child import Child
from core.keras_worker.errors import Refused
from core.keras_worker.pool import ChildPool
from tests.unit.keras_worker.trainings import Job, Sample, chain, mlp

pytestmark = pytest.mark.asyncio(loop_scope="session")

FEATURES = np.arange(60, dtype=np.float32).reshape(20, 3)
THREE = [0, 1, 2, 1] * 5
SPARSE: dict[str, Any] = {"loss": "sparse_categorical_crossentropy"}
CATEGORICAL: dict[str, Any] = {"loss": "CategoricalCrossentropy"}
BINARY: dict[str, Any] = {"loss": "BinaryCrossentropy"}


def sample(labels: list[Any], graph: dict[str, Any] | None = None, **changes: Any) -> Sample:
    return Sample(graph or mlp(3), FEATURES, labels, np.zeros(0), {"epochs": 1} | changes)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def child(pool: ChildPool) -> AsyncIterator[Child]:
    async with pool.child("tensorflow") as taken:
        yield taken


@pytest.mark.parametrize(
    ("made", "sentences"),
    [
        (sample(THREE, **SPARSE), ["'y' has 3 different values", "output has 1 units: give the last layer 3 units"]),
        (sample(THREE, **CATEGORICAL), ["output has 1 units: give the last layer 3 units"]),
        (sample(THREE, mlp(3, 3), **SPARSE, y_one_hot=True), ["turn y_one_hot off"]),
        (sample([0.5] * 10 + [1] * 10, mlp(3, 2), **SPARSE), ["holds numbers such as 0.5: choose a regression loss"]),
        (sample([1] * 20, mlp(3, 1), **SPARSE), ["classification needs at least two"]),
        (sample(THREE, mlp(3, 2), **BINARY), ["needs exactly two", "give the last layer one unit"]),
        (sample(THREE, mlp(3, 2)), ["output has 2 units: give the last layer one unit"]),
        (sample(THREE, mlp(4)), ["input has the shape (4,), but 3 feature columns are chosen"]),
        (
            sample(THREE, chain(("Input", {"shape": [3]}), ("Reshape", {"target_shape": [3, 1]}))),
            ["output has 2 dimensions: end it with Flatten"],
        ),
        (sample(THREE, early_stopping=True, es_monitor="val_joy"), ["es_monitor is 'val_joy'", "loss"]),
        (sample([1.0], test_split=0.9, validation_split=0.0), []),
    ],
)
async def test_what_does_not_fit_is_said_with_how_to_mend_it(
    made: Sample, sentences: list[str], child: Child, tmp_path: Path
) -> None:
    if not sentences:
        made = replace(made, x=FEATURES[:1])
        await Job(made, tmp_path).prepare(child)
        return
    with pytest.raises(Refused) as refusal:
        await Job(made, tmp_path).prepare(child)
    assert all(sentence in str(refusal.value) for sentence in sentences), refusal.value


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        (
            {"optimizer": "adamant", "loss": "regret", "metrics": ["joy"]},
            {name: ["Keras has none"] for name in ("optimizer", "loss", "metrics")},
        ),
        ({"clipnorm": 1.0, "clipvalue": 1.0}, {"clipnorm": ["either"], "clipvalue": ["either"]}),
        ({"lr_schedule": "cosine", "reduce_lr": True}, {"reduce_lr": ["follows a schedule"]}),
        ({"lr_schedule": "moon"}, {"lr_schedule": ["choose one of constant, exponential"]}),
        ({"metrics": ["MeanIoU"]}, {"metrics": ["needs arguments"]}),
    ],
)
async def test_problems_of_parameters_come_under_their_names(
    changes: dict[str, Any], problems: dict[str, list[str]], child: Child, tmp_path: Path
) -> None:
    with pytest.raises(Refused) as refusal:
        await Job(sample(THREE, **changes), tmp_path).prepare(child)
    found = refusal.value.problems
    assert isinstance(found, dict)
    assert set(found) == set(problems)
    assert all(problems[name][0] in found[name][0] for name in problems)


@pytest.mark.parametrize("name", ["Adam", "adam", "RMSprop", "rms_prop", "SGD", "Lion", "Ftrl", "AdamW", "Nadam"])
@pytest.mark.parametrize("schedule", ["constant", "linear"])
async def test_optimizers_are_known_by_all_their_names(name: str, schedule: str, child: Child, tmp_path: Path) -> None:
    await Job(sample(THREE, optimizer=name, lr_schedule=schedule), tmp_path).prepare(child)


@pytest.mark.parametrize(
    ("labels", "graph", "changes", "metric"),
    [
        (THREE, mlp(3, 3, "softmax"), SPARSE, "sparse_categorical_accuracy"),
        ([f"class {label}" for label in THREE], mlp(3, 3, "softmax"), CATEGORICAL, "categorical_accuracy"),
        (["no", "yes"] * 10, mlp(3, 1, "sigmoid"), BINARY, "binary_accuracy"),
        ([1, 2] * 10, mlp(3, 1, "sigmoid"), BINARY, "binary_accuracy"),
        ([3, 7] * 10, mlp(3, 2, "softmax"), SPARSE, "sparse_categorical_accuracy"),
        (THREE, mlp(3), {}, None),
        (THREE, mlp(3, 3), {"y_one_hot": True}, "categorical_accuracy"),
    ],
)
async def test_accuracy_is_of_the_kind_that_fits_the_loss(
    labels: list[Any], graph: dict[str, Any], changes: dict[str, Any], metric: str | None, child: Child, tmp_path: Path
) -> None:
    job = Job(sample(labels, graph, metrics=["accuracy", "acc"], **changes), tmp_path)
    await job.prepare(child)
    history = (await job.train(child))["history"]
    assert set(history) == {"loss", "val_loss"} | ({metric, f"val_{metric}"} if metric else set())


async def test_accuracy_can_be_watched_by_its_short_name(child: Child, tmp_path: Path) -> None:
    watched = {"early_stopping": True, "es_monitor": "val_accuracy", "es_patience": 0, "epochs": 50}
    job = Job(sample(THREE, mlp(3, 3, "softmax"), metrics=["accuracy"], **SPARSE, **watched), tmp_path)
    await job.prepare(child)
    assert (await job.train(child))["epoch"] < 50
