"""What a finished training leaves: artifacts that stand alone, predictions, evaluations, words for what went wrong."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from core.keras_worker.pool import ChildPool
from tests.unit.keras_worker.trainings import SAMPLES, Job, Sample, mlp

pytestmark = pytest.mark.asyncio(loop_scope="session")


def mixed_table() -> Sample:
    """A text column, a column with gaps, and different scales."""
    chance = np.random.default_rng(3)
    x = np.column_stack([chance.integers(0, 3, 120), chance.normal(1000, 300, 120)]).astype(np.float32)
    y = (x[:, 0] * 2 + x[:, 1] / 300).astype(np.float32)
    return Sample(mlp(2), x, y.tolist(), y, {"standardize": True, "epochs": 2})


def write_mixed(job: Job) -> None:
    names = ["green", "", "blue"]
    with job.csv.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["x0", "x1", "y"])
        for at, (row, label) in enumerate(zip(job.sample.x, job.sample.y, strict=True)):
            writer.writerow([names[int(row[0])], "" if at % 10 == 0 else row[1], label])


async def test_classes_get_a_confusion_matrix_and_two_of_them_a_roc_curve(pool: ChildPool, tmp_path: Path) -> None:
    sample = SAMPLES["rnn"]()
    job = Job(replace(sample, graph=mlp(12, 1, "sigmoid"), changes=sample.changes | {"epochs": 20}), tmp_path)
    async with pool.child("tensorflow") as child:
        result = await job.run(child)
    extended = result["extended_evaluation"]
    matrix = np.array(extended["confusion_matrix"])
    assert extended["classes"] == ["no", "yes"]
    assert matrix.sum() == 9
    assert np.trace(matrix) / 9 == pytest.approx(result["evaluation"]["binary_accuracy"])
    roc = extended["roc_curve"]
    assert (roc["fpr"][0], roc["tpr"][0], roc["fpr"][-1], roc["tpr"][-1]) == (0, 0, 1, 1)
    assert roc["auc"] == pytest.approx(result["evaluation"]["auc"], abs=0.1)


async def test_a_diverged_training_says_so_and_holds_no_nan(pool: ChildPool, tmp_path: Path) -> None:
    sample = mixed_table()
    wild = {"standardize": False, "optimizer": "sgd", "learning_rate": 1000.0, "epochs": 3}
    async with pool.child("tensorflow") as child:
        result = await Job(replace(sample, changes=wild), tmp_path).run(child)
    assert result["history"]["loss"][-1] is None
    assert "diverged: the loss was no finite number from epoch" in result["notes"][0]


async def test_without_validation_and_test_rows_there_is_nothing_of_either(pool: ChildPool, tmp_path: Path) -> None:
    changes = {"validation_split": 0.0, "test_split": 0.0, "epochs": 1, "metrics": ["accuracy"], "early_stopping": True}
    async with pool.child("tensorflow") as child:
        result = await Job(replace(mixed_table(), changes=changes), tmp_path).run(child)
    assert list(result["history"]) == ["loss"]
    assert "early_stopping watches val_loss, but without validation rows it never acts." in result["notes"]
    assert result["evaluation"] is None


async def test_whole_number_targets_are_legal_for_regression(pool: ChildPool, tmp_path: Path) -> None:
    sample = mixed_table()
    whole = sample.labels.round()
    async with pool.child("tensorflow") as child:
        result = await Job(replace(sample, y=[int(value) for value in whole]), tmp_path).run(child)
    assert result["evaluation"]["loss"] is not None


async def test_a_result_names_what_it_depends_on(pool: ChildPool, tmp_path: Path) -> None:
    async with pool.child("tensorflow") as child:
        prepared = await Job(mixed_table(), tmp_path).prepare(child)
        job = Job(mixed_table(), tmp_path)
        await job.train(child)
        result = await job.finish(child)
    assert result["data_sha256"] == prepared["data_sha256"]
    assert result["seed"] == 7
    assert result["threads"] == 2
    assert result["versions"]["keras"] == keras.__version__


async def test_the_same_job_run_again_gives_the_same_numbers(pool: ChildPool, tmp_path: Path) -> None:
    results: list[object] = []
    for folder in ("first", "second"):
        async with pool.child("tensorflow") as child:
            results.append(await Job(SAMPLES["ema"](), tmp_path / folder).run(child))
    assert results[0] == results[1]
