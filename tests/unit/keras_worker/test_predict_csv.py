"""A CSV predicted part by part: the same rows in the same order, and beside each what the network says."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import pytest_asyncio

from core.keras_worker.artifacts import read_preparation
from core.keras_worker.child import Child
from core.keras_worker.csv_format import sniff_sample
from core.keras_worker.errors import Refused
from core.keras_worker.pool import ChildPool
from tests.unit.keras_worker.stored_models import ask, dense, number, stored, target, text, weighted

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def child(pool: ChildPool) -> AsyncIterator[Child]:
    async with pool.child("tensorflow") as taken:
        yield taken


@pytest.fixture(scope="module")
def sum_of_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that adds its columns a and b; a missing b is 100."""
    path = tmp_path_factory.mktemp("sum") / "model.keras"
    return stored(path, weighted(dense(2), 1, 0), [number("a"), number("b", missing=100.0)])


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes from a number and a text."""
    columns = [number("size", mean=10.0, deviation=4.0, missing=9.0), text("colour", ["", "blue", "green"])]
    path = tmp_path_factory.mktemp("classifier") / "model.keras"
    return stored(path, dense(2, 3, "softmax", hidden=16), columns, target("index", ["=cat", "dog", "eel"]))


async def predicted(child: Child, model: Path, content: bytes, folder: Path, part: int = 1 << 20) -> bytes:
    """What the batch door makes of a CSV, in parts of so many bytes."""
    names = [column["name"] for column in read_preparation(model)["columns"]]
    source, output = folder / "rows.csv", folder / "predictions.csv"
    arguments = {"model": str(model), "memory_bytes": 1 << 30, "source": str(source), "output": str(output)}
    arguments["format"] = asdict(sniff_sample(content, names))
    start, row, size, found = 0, 1, part, b""
    while start < len(content):
        source.write_bytes(content[start : start + size])
        last = start + size >= len(content)
        answer = await child.call("predict_csv", {**arguments, "first_row": row, "last": last})
        size = part if answer["bytes"] else size * 2
        if answer["bytes"]:
            found += output.read_bytes()
            start, row = start + answer["consumed"], answer["next_row"]
        elif last:
            break
    return found


def cells(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def table(rows: list[list[Any]], **dialect: Any) -> bytes:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n", **dialect).writerows(rows)
    return written.getvalue().encode()


def animals(count: int) -> list[list[Any]]:
    chance = random.Random(2)
    colours = ["blue", "green", "", " green "]
    return [[at, chance.choice(colours), round(chance.gauss(10, 4), 3) if at % 7 else ""] for at in range(count)]


async def test_each_row_stands_beside_what_plain_keras_and_a_request_say(
    child: Child, classifier: Path, tmp_path: Path
) -> None:
    rows = animals(3000)
    content = table([["id", "colour", "size"], *rows])
    header, *found = cells(await predicted(child, classifier, content, tmp_path))
    assert header == ["id", "colour", "size", "prediction", "probability_=cat", "probability_dog", "probability_eel"]
    assert [row[:3] for row in found] == [[str(cell) for cell in row] for row in rows]
    model: Any = keras.models.load_model(classifier)
    codes = {"": 0, "blue": 1, "green": 2}
    sizes = np.array([9.0 if row[2] == "" else row[2] for row in rows], np.float32)
    x = np.column_stack([(sizes - np.float32(10)) / np.float32(4), [codes[row[1].strip()] for row in rows]])
    expected = model.predict_on_batch(x.astype(np.float32))
    np.testing.assert_allclose(np.array([row[4:] for row in found], float), expected, atol=1e-6)
    assert [row[3] for row in found] == [["'=cat", "dog", "eel"][best] for best in expected.argmax(axis=1)]
    asked = await ask(
        child, classifier, {"records": [dict(zip(header, row[:3], strict=False)) for row in found[:1024]]}
    )
    # The very float32 that a request gets for the same thousand rows, in fewer digits.
    assert np.array_equal(np.array([row[4:] for row in found[:1024]], np.float32), np.float32(asked["predictions"]))


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
async def test_however_a_file_is_cut_its_rows_stay_the_same(
    encoding: str, newline: bytes, child: Child, sum_of_two: Path, tmp_path: Path
) -> None:
    rows = [["é", 1, 2], ['a "quoted", cell', 3, ""], [" ", 0, 0], ["two\nlines", 5, 6], ["z" * 40, 7, 8]]
    text_of = table([["note", "a", "b"], *rows]).decode().replace("\n", newline.decode())
    content = ("\n" * 2 + text_of).encode(encoding)
    whole = await predicted(child, sum_of_two, content, tmp_path)
    assert cells(whole)[1:] == [
        ["é", "1", "2", "3.0"],
        ['a "quoted", cell', "3", "", "103.0"],
        [" ", "0", "0", "0.0"],
        ["two\nlines", "5", "6", "11.0"],
        ["z" * 40, "7", "8", "15.0"],
    ]
    assert whole.startswith(b"\xef\xbb\xbf") == (encoding != "utf-8")
    for part in (2, 10, 34):
        assert await predicted(child, sum_of_two, content, tmp_path, part) == whole


async def test_a_european_file_comes_back_as_it_was_written(child: Child, sum_of_two: Path, tmp_path: Path) -> None:
    content = "\ufeffa;b;Straße\r\n1,5;2,25;x\r\n-1,5;;y\r\n".encode()
    found = await predicted(child, sum_of_two, content, tmp_path)
    assert found == "\ufeffa;b;Straße;prediction\n1,5;2,25;x;3,75\n-1,5;;y;98,5\n".encode()


async def test_a_spreadsheet_runs_no_cell_of_what_comes_back(child: Child, sum_of_two: Path, tmp_path: Path) -> None:
    risky = ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\tx", "\r=1", " =1", "-", "-1e", '=HYPERLINK("http://x","y")']
    harmless = ["-1.5", "+3", "-1e-5", "-.5", "-1,5", "1=1", "a@b", "'=1", ""]
    rows = [[cell, 1, -2.5] for cell in (*risky, *harmless)]
    content = table([["=note", "a", "b"], *rows], quoting=csv.QUOTE_ALL)
    header, *found = cells(await predicted(child, sum_of_two, content, tmp_path))
    assert header == ["'=note", "a", "b", "prediction"]
    # Newlines come back as \n, and a cell that begins with one is no better than one that begins with \r.
    assert [row[0] for row in found[: len(risky)]] == ["'" + cell.replace("\r", "\n") for cell in risky]
    assert [row[0] for row in found[len(risky) :]] == harmless
    assert {tuple(row[1:]) for row in found} == {("1", "-2.5", "-1.5")}


async def test_names_of_predictions_give_way_to_those_of_the_file(
    child: Child, sum_of_two: Path, tmp_path: Path
) -> None:
    content = b"prediction,a,b,prediction_2\n1,2,3,4\n"
    assert await predicted(child, sum_of_two, content, tmp_path) == (
        b"prediction,a,b,prediction_2,prediction_3\n1,2,3,4,5.0\n"
    )


async def test_with_many_classes_only_the_likeliest_has_its_probability(child: Child, tmp_path: Path) -> None:
    network = dense(1, 101, "softmax")
    model = stored(tmp_path / "m.keras", network, [number("a")], target("index", list(range(101))))
    header, row = cells(await predicted(child, model, b"a\n1\n", tmp_path))
    asked = await ask(child, model, {"instances": [[1]]})
    assert header == ["a", "prediction", "probability"]
    assert row[1] == str(asked["labels"][0]) and np.float32(row[2]) == np.float32(max(asked["predictions"][0]))


async def test_an_output_that_is_no_number_leaves_its_cells_empty(child: Child, tmp_path: Path) -> None:
    network = weighted(dense(1, 2), [[3e38, -1]], 0)
    model = stored(tmp_path / "m.keras", network, [number("a")], target("index", ["x", "y"]))
    assert cells(await predicted(child, model, b"a\n5\n0\n", tmp_path))[1:] == [["5", "", "", ""], ["0", "x", "", ""]]
    regression = stored(tmp_path / "r.keras", weighted(dense(1), 3e38, 0), [number("a")])
    assert cells(await predicted(child, regression, b"a\n5\n0\n", tmp_path))[1:] == [["5", ""], ["0", "0.0"]]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("1,2\nx,4\n5,y\n", r"Row 3, column 'a': 'x' is not a number\. Row 4, column 'b': 'y'"),
        ("1,2\n,4\n", "Row 3, column 'a': the value is missing, and in the training none was"),
        ("1,2\n3\n", "row 3 has 1"),
        ('1,2\n"3,4\n' + "5,6\n" * 10, "row 3 has|Row 3"),
    ],
)
@pytest.mark.parametrize("part", [8, 1 << 20])
async def test_a_bad_row_is_named_as_a_spreadsheet_counts_wherever_the_file_is_cut(
    rows: str, sentence: str, part: int, child: Child, sum_of_two: Path, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match=sentence) as told:
        await predicted(child, sum_of_two, b"a,b\n" + rows.encode(), tmp_path, part)
    assert "/" not in str(told.value)


async def test_a_file_that_is_utf_8_only_at_its_beginning_is_read_as_windows_1252(
    child: Child, sum_of_two: Path, tmp_path: Path
) -> None:
    # More than the beginning by which the encoding is found out.
    content = b"note,a,b\n" + (b"x" * 50 + b",1,2\n") * 20_000 + "Köln,3,4\n".encode("cp1252")
    found = await predicted(child, sum_of_two, content, tmp_path)
    assert found.endswith("x,1,2,3.0\nKöln,3,4,7.0\n".encode())
    assert len(cells(found)) == 20_002
