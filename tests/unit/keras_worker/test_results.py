"""What a finished training leaves: artifacts that stand alone, predictions, evaluations, words for what went wrong."""

from __future__ import annotations

import csv
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from core.keras_worker.errors import Refused
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


async def test_predictions_apply_the_same_preparation_as_the_training(pool: ChildPool, tmp_path: Path) -> None:
    job = Job(mixed_table(), tmp_path)
    write_mixed(job)
    async with pool.child("tensorflow") as child:
        await job.run(child)
        model = tmp_path / "artifacts" / "model.keras"
        rows = [["green", 900], ["", "1000.5"], ["blue", None], [None, " 7e2 "]]
        predicted = (await child.call("predict", {"model": str(model), "rows": rows}))["predictions"]
    with zipfile.ZipFile(model) as archive:
        preparation = json.loads(archive.read("preparation.json"))
    assert preparation["columns"][0]["categories"] == ["", "blue", "green"]
    codes = [[2, 900], [0, 1000.5], [1, preparation["columns"][1]["missing"]], [0, 700]]
    mean, deviation = (
        np.array([column[key] for column in preparation["columns"]], np.float32) for key in ("mean", "deviation")
    )
    x = (np.array(codes, np.float32) - mean) / deviation
    loaded: Any = keras.models.load_model(model)
    np.testing.assert_allclose(predicted, loaded.predict_on_batch(x), rtol=1e-5)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([["red", 1], ["green", "x"]], "Row 1, column 'x0': 'red' was not among the values of the training"),
        ([["green", "x"]], "Row 1, column 'x1': 'x' is not a number"),
        ([["green", 1], ["green"]], "Row 2 has 1 values, but the network takes 2"),
        ([["green", "inf"]], "not a number that fits into 32 bits"),
        ([], "no rows to predict"),
    ],
)
async def test_a_row_that_cannot_be_prepared_is_named(
    rows: list[list[object]], sentence: str, pool: ChildPool, trained: Path
) -> None:
    async with pool.child("tensorflow") as child:
        with pytest.raises(Refused, match=sentence):
            await child.call("predict", {"model": str(trained), "rows": rows})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stored model with a text column, made without a child."""
    from core.keras_worker.artifacts import save_model

    number = {"name": "x1", "kind": "number", "missing": None, "mean": None, "deviation": None}
    text = number | {"name": "x0", "kind": "text", "categories": ["blue", "green"]}
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    path = tmp_path_factory.mktemp("trained") / "model.keras"
    target = {"name": "y", "form": "number", "classes": None}
    save_model(network, {"columns": [text, number], "target": target, "decimal_mark": ","}, path)
    return path


async def test_numbers_as_text_are_read_with_the_decimal_mark_of_the_training(pool: ChildPool, trained: Path) -> None:
    async with pool.child("tensorflow") as child:
        rows = [["blue", "1,5"], ["blue", "1.5"], ["blue", 1.5]]
        answer = await child.call("predict", {"model": str(trained), "rows": rows})
    assert answer["predictions"][0] == answer["predictions"][1] == answer["predictions"][2]


async def test_another_file_at_the_same_path_is_loaded_anew(pool: ChildPool, trained: Path, tmp_path: Path) -> None:
    from core.keras_worker.artifacts import read_preparation, save_model

    path = tmp_path / "model.keras"
    answers: list[float] = []
    async with pool.child("tensorflow") as child:
        for weight in (1.0, 2.0):
            network: Any = keras.models.load_model(trained)
            network.set_weights([np.full((2, 1), weight), np.zeros(1)])
            save_model(network, read_preparation(trained), path)
            result = await child.call("predict", {"model": str(path), "rows": [["green", 1]]})
            answers.append(result["predictions"][0][0])
    assert answers == [2.0, 4.0]


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
