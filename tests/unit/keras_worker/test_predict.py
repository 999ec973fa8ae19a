"""Predictions of a stored model: the training's preparation, labels, probabilities, limits, and what stays loaded."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import pytest_asyncio

from core.keras_worker.artifacts import read_preparation, save_model
from core.keras_worker.child import Child
from core.keras_worker.errors import ChildFailed, Refused
from core.keras_worker.pool import ChildPool
from tests.unit.keras_worker.stored_models import ask, dense, number, stored, target, text, weighted
from tests.unit.keras_worker.test_results import mixed_table, write_mixed
from tests.unit.keras_worker.trainings import Job

pytestmark = pytest.mark.asyncio(loop_scope="session")

MIB = 1024 * 1024


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def child(pool: ChildPool) -> AsyncIterator[Child]:
    async with pool.child("tensorflow") as taken:
        yield taken


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a text column and a number column whose training was written with decimal commas."""
    path = tmp_path_factory.mktemp("mixed") / "model.keras"
    return stored(path, dense(2), [text("x0", ["blue", "green"]), number("x1")], decimal_mark=",")


@pytest.fixture(scope="module")
def sum_of_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that adds its columns a and b; a missing b is 100."""
    network = weighted(dense(2), 1, 0)
    path = tmp_path_factory.mktemp("sum") / "model.keras"
    return stored(path, network, [number("a"), number("b", missing=100.0)])


async def test_predictions_apply_the_same_preparation_as_the_training(child: Child, tmp_path: Path) -> None:
    job = Job(mixed_table(), tmp_path)
    write_mixed(job)
    await job.run(child)
    model = tmp_path / "artifacts" / "model.keras"
    rows = [["green", 900], ["", "1000.5"], ["blue", None], [None, " 7e2 "], ["na", True]]
    predicted = (await ask(child, model, {"instances": rows}))["predictions"]
    table = b"x1,x0\n900,green\n 1000.5,\n, blue\n7e2,\n1,NA\n"
    assert (await ask(child, model, table, table=True))["predictions"] == predicted
    with zipfile.ZipFile(model) as archive:
        preparation = json.loads(archive.read("preparation.json"))
    assert preparation["columns"][0]["categories"] == ["", "blue", "green"]
    codes = [[2, 900], [0, 1000.5], [1, preparation["columns"][1]["missing"]], [0, 700], [0, 1]]
    mean, deviation = (
        np.array([column[key] for column in preparation["columns"]], np.float32) for key in ("mean", "deviation")
    )
    loaded: Any = keras.models.load_model(model)
    expected = loaded.predict_on_batch((np.array(codes, np.float32) - mean) / deviation)
    np.testing.assert_allclose(predicted, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"instances": [["red", 1], ["green", "x"]]}, "Row 1, column 'x0': 'red' was not among the values"),
        ({"instances": [["green", 1], ["green", "x"]]}, "Row 2, column 'x1': 'x' is not a number"),
        ({"instances": [["green", 1], ["green"]]}, "Row 2 has 1 values; this model takes 2: x0, x1"),
        ({"instances": [["green", "inf"]]}, "not a number that fits into 32 bits"),
        ({"instances": [["green", 10**400]]}, "is not a number that fits"),
        ({"instances": [["green", None]]}, "the value is missing, and in the training none was"),
        ({"instances": [["green", [1]], ["green", [2]]]}, "Row 1, column 'x1': a value is needed, not a list"),
        ({"instances": []}, "at least one row"),
        ({"instances": [{"x0": 1}]}, "Row 1 must be a list of 2 values"),
        ({"records": [{"x0": "green"}]}, "Row 1 lacks the column x1"),
        ({"records": [[1]]}, "Row 1 must be an object"),
        ({"rows": []}, "Send"),
    ],
)
async def test_a_row_that_cannot_be_prepared_is_named(body: Any, sentence: str, child: Child, mixed: Path) -> None:
    with pytest.raises(Refused, match=sentence):
        await ask(child, mixed, body)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (b"\n\na,b\n1,2\n\nx,1\n", "Row 6, column 'a': 'x' is not a number"),
        (b"a,b\n1,2\n3\n", "The header has 2 cells, but row 3 has 1"),
        (b"a,b\n\n", "no rows"),
        (b"a,c\n1,2\n", "no column 'b'"),
    ],
)
async def test_a_bad_row_of_a_csv_is_named_as_a_spreadsheet_counts(
    table: bytes, sentence: str, child: Child, sum_of_two: Path
) -> None:
    with pytest.raises(Refused, match=sentence):
        await ask(child, sum_of_two, table, table=True)


@pytest.mark.parametrize(
    "table",
    [
        "b,a,ä\n2.5,1,x\n,1,y\n".encode(),
        "b;a;ä\r\n2,5;1;x\r\n;1;y\r\n".encode("utf-8-sig"),
        "b\ta\tä\n2.5\t1\tx\n\t1\ty\n".encode("utf-16"),
        "b,a,ä\n2.5,1,x\n,1,y\n".encode("cp1252"),
        b"b,a,c\r 2.5 ,1,x\rNA,1,y",
    ],
)
async def test_a_csv_is_read_however_it_is_written(table: bytes, child: Child, sum_of_two: Path) -> None:
    answer = await ask(child, sum_of_two, table, table=True)
    assert answer["predictions"] == [[3.5], [101.0]]


async def test_numbers_as_text_are_read_with_the_decimal_mark_of_the_training(child: Child, mixed: Path) -> None:
    answer = await ask(child, mixed, {"instances": [["blue", "1,5"], ["blue", "1.5"], ["blue", 1.5]]})
    assert answer["predictions"][0] == answer["predictions"][1] == answer["predictions"][2]


@pytest.mark.parametrize("body", [b"", b"[1]", b"{", b'{"instances": [[NaN, 1]]}', b"\xff", b'{"a": 1, "a": 1}'])
async def test_a_body_that_is_no_json_object_is_left_to_the_host(body: bytes, child: Child, sum_of_two: Path) -> None:
    assert await ask(child, sum_of_two, body) == {"unreadable": True}


async def test_one_unit_gives_the_second_of_two_classes_and_decides_as_keras_does(child: Child, tmp_path: Path) -> None:
    network = weighted(dense(1, activation="sigmoid"), 1, 0)
    model = stored(tmp_path / "m.keras", network, [number("a")], target("binary", ["no", "yes"]))
    answer = await ask(child, model, {"instances": [[-1], [0], [1e-6], [2]]})
    chances = [p for [p] in answer["predictions"]]
    assert chances[1] == 0.5
    # Keras's BinaryAccuracy takes what is above the threshold, not what is at it.
    assert answer["labels"] == ["no", "no", "yes", "yes"]
    for chance, named in zip(chances, answer["probabilities"], strict=True):
        assert named["yes"] == chance
        assert named["no"] == pytest.approx(1 - chance, abs=1e-7)


async def test_each_class_has_its_probability_under_its_name(child: Child, tmp_path: Path) -> None:
    network = dense(2, 3, "softmax")
    model = stored(tmp_path / "m.keras", network, [number("a"), number("b")], target("index", [10, 20, 30]))
    answer = await ask(child, model, {"instances": [[1, 2], [-3, 0.5]]})
    for outputs, label, named in zip(*(answer[k] for k in ("predictions", "labels", "probabilities")), strict=True):
        assert list(named) == ["10", "20", "30"] and list(named.values()) == outputs
        assert named[str(label)] == max(outputs)


async def test_outputs_that_are_no_probabilities_are_not_called_so(child: Child, tmp_path: Path) -> None:
    linear = weighted(dense(1, 2), [[1, -1]], 0)
    model = stored(tmp_path / "linear.keras", linear, [number("a")], target("index", [0, 1]))
    answer = await ask(child, model, {"instances": [[5], [-5], [3e38]]})
    assert answer["labels"] == [0, 1, 0]
    assert answer["probabilities"] == [None, None, None]
    huge = weighted(dense(1, 2), [[3e38, -1]], 0)
    model = stored(tmp_path / "huge.keras", huge, [number("a")], target("index", [0, 1]))
    answer = await ask(child, model, {"instances": [[5]]})
    assert answer == {"predictions": [[None, -5.0]], "labels": [None], "probabilities": [None]}
    regression = stored(tmp_path / "regression.keras", linear, [number("a")])
    assert (await ask(child, regression, {"instances": [[5]]})).keys() == {"predictions"}


async def test_too_many_rows_are_sent_to_the_batch_door(child: Child, sum_of_two: Path) -> None:
    instances = {"instances": [[1, 2]] * 11}
    assert len((await ask(child, sum_of_two, instances, rows=11))["predictions"]) == 11
    table = b"a,b\n" + b"1,2\n" * 11
    for body, is_table in ((instances, False), (table, True)):
        with pytest.raises(Refused, match=r"11 rows are too many .* takes 10: .* batch-predictions"):
            await ask(child, sum_of_two, body, table=is_table, rows=10)
    with pytest.raises(Refused, match=r"takes this network too long .* batch-predictions"):
        await ask(child, sum_of_two, instances, seconds=0.0)


async def test_another_file_at_the_same_path_is_loaded_anew(child: Child, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    answers: list[float] = []
    for weight in (1.0, 2.0):
        save_model(weighted(dense(1), weight, 0), read_preparation(stored(path, dense(1), [number("a")])), path)
        answers.append((await ask(child, path, {"instances": [[2]]}))["predictions"][0][0])
    assert answers == [2.0, 4.0]


def damage(model: Path) -> None:
    """Makes the file unreadable for whoever opens it, and no other for whoever only looks at time and size."""
    status = model.stat()
    model.write_bytes(bytes(status.st_size))
    os.utime(model, ns=(status.st_atime_ns, status.st_mtime_ns))


async def test_models_beyond_the_memory_are_given_up_the_longest_unused_first(child: Child, tmp_path: Path) -> None:
    models = [stored(tmp_path / f"{at}.keras", dense(1000, 1), [number("a")] * 1000) for at in range(3)]
    body = {"instances": [[1] * 1000]}
    # The weights of two such networks fit.
    for used in (0, 1, 0, 2):
        await ask(child, models[used], body, memory_bytes=9000)
    for model in models:
        damage(model)
    for kept in (0, 2):
        await ask(child, models[kept], body, memory_bytes=9000)
    with pytest.raises(ChildFailed):
        await ask(child, models[1], body, memory_bytes=9000)


async def test_a_model_that_is_given_up_gives_its_memory_back(pool: ChildPool, tmp_path: Path) -> None:
    # 16 MiB of weights each: five that stay would show.
    network = dense(2048, 2048)
    columns = [number("a")] * 2048
    body = {"instances": [[1] * 2048]}
    async with pool.child("tensorflow") as child:
        used: list[int] = []
        for at in range(8):
            await ask(child, stored(tmp_path / f"{at}.keras", network, columns), body, memory_bytes=17 * MIB)
            used.append(child.memory_bytes())
    assert max(used[3:]) - used[2] < 32 * MIB
