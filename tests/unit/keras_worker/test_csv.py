"""What people's CSV files look like, one test a case: what is understood, and what is told where it is not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from core.keras_worker.child import Child
from core.keras_worker.errors import Refused
from core.keras_worker.pool import ChildPool
from tests.unit.keras_worker.trainings import DEFAULTS, NO_LIMITS, THREADS, mlp

pytestmark = pytest.mark.asyncio(loop_scope="session")

PLAIN = "a,b,y\n1,2,3\n4,5,6\n7,8,9\n10,11,12\n"


class Prepared:
    """A CSV that has gone through `prepare` with the columns a and b and the target y."""

    def __init__(self, work: Path, result: dict[str, Any]) -> None:
        self.profile: dict[str, Any] = result["dataset"]
        self.rows: int = result["rows"]
        self.x = np.fromfile(work / "data" / "x.f32", dtype="<f4").reshape(self.rows, -1)
        self.y = np.fromfile(work / "data" / "y.bin", dtype="<f4")


Prepare = Callable[..., Awaitable[Prepared]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def child(pool: ChildPool) -> AsyncIterator[Child]:
    async with pool.child("tensorflow") as taken:
        yield taken


@pytest.fixture
def prepare(child: Child, tmp_path: Path) -> Prepare:
    async def prepare(
        content: str | bytes,
        graph: dict[str, Any] | None = None,
        limits: dict[str, int] = NO_LIMITS,
        **changes: Any,
    ) -> Prepared:
        csv = tmp_path / "source.csv"
        csv.write_bytes(content.encode() if isinstance(content, str) else content)
        params = DEFAULTS | {"x_columns": ["a", "b"], "y_column": "y", "test_split": 0.0, "validation_split": 0.0}
        arguments = {"csv": str(csv), "work": str(tmp_path), "threads": THREADS, "params": params | changes}
        arguments["limits"] = limits
        return Prepared(tmp_path, await child.call("prepare", arguments | {"graph": graph or mlp(2)}))

    return prepare


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (PLAIN.encode("utf-8-sig"), "UTF-8 with BOM"),
        (PLAIN.encode("utf-16"), "UTF-16-LE with BOM"),
        (b"\xfe\xff" + PLAIN.encode("utf-16-be"), "UTF-16-BE with BOM"),
        (PLAIN.encode("utf-16-le"), "UTF-16-LE"),
        (PLAIN.encode(), "UTF-8"),
    ],
)
async def test_encodings_are_recognised(prepare: Prepare, content: bytes, encoding: str) -> None:
    prepared = await prepare(content)
    assert prepared.x.tolist() == [[1, 2], [4, 5], [7, 8], [10, 11]]
    assert prepared.profile["format"]["encoding"] == encoding


async def test_latin_1_is_recognised_by_what_utf_8_cannot_be(prepare: Prepare) -> None:
    prepared = await prepare("a,größe,y\n1,klein,3\n4,groß,6\n".encode("latin-1"), x_columns=["a", "größe"])
    assert prepared.profile["format"]["encoding"] == "Windows-1252 (Latin-1)"
    assert prepared.profile["columns"][1]["most_frequent"] == {"groß": 1, "klein": 1}


async def test_latin_1_far_behind_the_beginning_is_recognised(prepare: Prepare) -> None:
    rows = "".join(f"{at},x,{at}\n" for at in range(200_000))
    prepared = await prepare(("a,b,y\n" + rows + "1,é,2\n").encode("latin-1"))
    assert prepared.profile["format"]["encoding"] == "Windows-1252 (Latin-1)"
    assert prepared.rows == 200_001


@pytest.mark.parametrize(("mark", "name"), [(";", "semicolon"), ("\t", "tab"), ("|", "vertical bar"), (",", "comma")])
async def test_delimiters_are_recognised(prepare: Prepare, mark: str, name: str) -> None:
    prepared = await prepare(PLAIN.replace(",", mark))
    assert prepared.x.tolist() == [[1, 2], [4, 5], [7, 8], [10, 11]]
    assert prepared.profile["format"]["delimiter"] == name


async def test_decimal_commas_are_recognised_beside_semicolons(prepare: Prepare) -> None:
    prepared = await prepare("a;b;y\n1,5;2;0,25\n-0,5;1e3;4\n")
    assert prepared.x.tolist() == [[1.5, 2], [-0.5, 1000]]
    assert prepared.y.tolist() == [0.25, 4]
    assert prepared.profile["format"]["decimal_mark"] == "comma"


@pytest.mark.parametrize("ending", ["\r\n", "\r", "\n"])
async def test_line_endings_of_all_systems_are_read(prepare: Prepare, ending: str) -> None:
    assert (await prepare(PLAIN.replace("\n", ending))).x.tolist() == [[1, 2], [4, 5], [7, 8], [10, 11]]


async def test_a_last_line_without_an_ending_counts(prepare: Prepare) -> None:
    assert (await prepare(PLAIN.rstrip())).rows == 4


async def test_empty_lines_are_left_out_and_counted(prepare: Prepare) -> None:
    prepared = await prepare("\n\na,b,y\n1,2,3\n\n,,\n  \n4,5,6\n\n")
    assert prepared.x.tolist() == [[1, 2], [4, 5]]
    assert prepared.profile["empty_rows"] == 4


async def test_white_space_around_names_and_cells_is_trimmed(prepare: Prepare) -> None:
    assert (await prepare(" a , b,y \n 1 ,2 , 3\n4,5,6\n")).x.tolist() == [[1, 2], [4, 5]]


async def test_quoted_cells_may_hold_delimiters_and_new_lines(prepare: Prepare) -> None:
    prepared = await prepare('"a","b",y,note\n"1",2,3,"one, two\nthree"\n4,"5",6,"a ""quoted"" word"\n')
    assert prepared.x.tolist() == [[1, 2], [4, 5]]
    assert prepared.profile["unused_columns"] == ["note"]


async def test_a_quotation_mark_inside_a_cell_is_just_a_character(prepare: Prepare) -> None:
    prepared = await prepare('a,b,y,note\n1,2,3,5" nail\n4,5,6,7" nail\n')
    assert prepared.x.tolist() == [[1, 2], [4, 5]]


async def test_columns_may_stand_in_any_order(prepare: Prepare) -> None:
    assert (await prepare("y,b,z,a\n3,2,0,1\n6,5,0,4\n")).x.tolist() == [[1, 2], [4, 5]]


@pytest.mark.parametrize("text", ["", "NA", "n/a", "NaN", "null", "None", "?", "#N/A"])
async def test_a_missing_number_becomes_the_median_of_the_training_rows(prepare: Prepare, text: str) -> None:
    prepared = await prepare(f"a,b,y\n1,2,3\n{text},5,6\n7,8,9\n100,8,9\n")
    assert prepared.x[:, 0].tolist() == [1, 7, 7, 100]
    assert prepared.profile["columns"][0]["missing"] == 1
    assert "median of the training rows, 7" in prepared.profile["columns"][0]["treatment"]


async def test_texts_become_numbers_in_alphabetical_order(prepare: Prepare) -> None:
    prepared = await prepare("a,b,y\nred,1,1\nblue,2,2\ngreen,3,3\nred,4,4\n")
    assert prepared.x[:, 0].tolist() == [2, 0, 1, 2]
    assert prepared.profile["columns"][0]["type"] == "text"


async def test_a_missing_text_is_a_category_of_its_own(prepare: Prepare) -> None:
    prepared = await prepare("a,b,y\nred,1,1\n,2,2\nblue,3,3\nNA,4,4\n")
    assert prepared.x[:, 0].tolist() == [2, 0, 1, 0]


async def test_rows_without_a_target_are_left_out_and_counted(prepare: Prepare) -> None:
    prepared = await prepare("a,b,y\n1,2,3\n4,5,\n7,8,9\n")
    assert prepared.x.tolist() == [[1, 2], [7, 8]]
    assert prepared.profile["rows_without_target"] == 1


async def test_standardised_columns_have_mean_0_and_deviation_1_over_the_training_rows(prepare: Prepare) -> None:
    rows = "".join(f"{at * at},{-at},1\n" for at in range(50))
    prepared = await prepare("a,b,y\n" + rows, standardize=True)
    np.testing.assert_allclose(prepared.x.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(prepared.x.std(axis=0), 1, atol=1e-6)


async def test_every_used_column_is_profiled(prepare: Prepare) -> None:
    profile = (await prepare("a,b,y\n1,x,3\n2,y,4\n2,x,5\n,x,6\n")).profile
    number, text = profile["columns"]
    assert {key: number[key] for key in ("name", "type", "missing", "min", "max", "distinct")} == {
        "name": "a", "type": "number", "missing": 1, "min": 1, "max": 2, "distinct": 2
    }  # fmt: skip
    assert number["mean"] == pytest.approx(5 / 3)
    assert sum(number["histogram"]["counts"]) == 3
    assert text["most_frequent"] == {"x": 3, "y": 1}
    assert profile["target"]["mean"] == 4.5


async def test_dirty_cells_are_named_with_row_column_and_content(prepare: Prepare) -> None:
    with pytest.raises(Refused) as refusal:
        await prepare("a,b,y\n1,2,3\nabc,5,6\n\n7,inf,9\n1,1e99,9\n8,9,1\n")
    assert str(refusal.value) == (
        "Column 'a' has 1 cells that are not numbers (row 3: 'abc'). "
        "Column 'b' has 2 cells that are not numbers (row 5: 'inf', row 6: '1e99'). "
        "The header is row 1. Correct the cells, or leave them empty."
    )


async def test_of_many_dirty_cells_twenty_are_shown_and_all_are_counted(prepare: Prepare) -> None:
    rows = "".join(f"{at if at % 3 else 'x' + str(at)},1,1\n" for at in range(300))
    with pytest.raises(Refused, match=r"'a' has 100 cells .*row 2: 'x0'.*row 59: 'x57' and 80 more\)"):
        await prepare("a,b,y\n" + rows)


@pytest.mark.parametrize(
    ("row", "cells"), [("1,2", 2), ("1,2,3,4", 4), ('1,"2"', 2), ('"1",2,3,4', 4)]
)  # fmt: skip
async def test_rows_with_too_few_or_too_many_cells_are_named(prepare: Prepare, row: str, cells: int) -> None:
    with pytest.raises(Refused, match=f"1 rows have another number of cells than the header's 3: row 4 has {cells}"):
        await prepare(f"a,b,y\n1,2,3\n4,5,6\n{row}\n7,8,9\n")


async def test_missing_columns_are_named_beside_those_there_are(prepare: Prepare) -> None:
    with pytest.raises(Refused, match="no column 'c', 'd'; its columns are 'a', 'b', 'y'"):
        await prepare(PLAIN, x_columns=["c", "d"])


async def test_a_column_name_that_stands_twice_is_named(prepare: Prepare) -> None:
    with pytest.raises(Refused, match="'b' stands at columns 2 and 4: rename all but one"):
        await prepare("a,b,y,b\n1,2,3,4\n")


async def test_a_doubled_name_of_an_unused_column_does_no_harm(prepare: Prepare) -> None:
    assert (await prepare("a,b,y,z,z\n1,2,3,0,0\n4,5,6,0,0\n")).rows == 2


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "The file is empty"),
        ("\n \n", "The file is empty"),
        ("a,b,y\n", "no row with a value in the target column"),
        (b"PK\x03\x04\x00\x01\x02\x00binary", "not a text file"),
        ("a,b,y\n,1,2\n,3,4\n", "no value in any row: a"),
    ],
)
async def test_files_without_data_are_refused(prepare: Prepare, content: str | bytes, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        await prepare(content)


async def test_a_quotation_mark_that_is_never_closed_does_not_swallow_the_file(prepare: Prepare) -> None:
    with pytest.raises(Refused, match="cells"):
        await prepare('a,b,y\n1,2,3\n4,"5,6\n7,8,9\n10,11,12\n')


async def test_too_many_different_texts_are_no_categories(prepare: Prepare) -> None:
    rows = "".join(f"name{at},1,1\n" for at in range(10_001))
    with pytest.raises(Refused, match="'a' holds more than 10,000 different texts"):
        await prepare("a,b,y\n" + rows)


async def test_blocks_of_a_large_file_join_without_a_seam(prepare: Prepare) -> None:
    count = 700_000
    rows = "".join(f'{at},"{at % 7}",{at % 3}\n' if at % 5 else f"{at},{at % 7},{at % 3}\n" for at in range(count))
    prepared = await prepare("a,b,y\n" + rows)
    assert len(rows) > 8 * 1024 * 1024
    assert np.array_equal(prepared.x[:, 0], np.arange(count, dtype=np.float32))
    assert np.array_equal(prepared.x[:, 1], np.arange(count) % 7)


async def test_preparing_again_gives_the_same(prepare: Prepare) -> None:
    first = await prepare(PLAIN)
    assert (await prepare(PLAIN)).profile == first.profile


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a file that is always full")
async def test_a_full_disk_is_told_in_a_sentence_without_a_path(prepare: Prepare, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.f32").symlink_to("/dev/full")
    with pytest.raises(Refused, match="The temporary disk of this instance is full") as refused:
        await prepare(PLAIN)
    assert str(tmp_path) not in str(refused.value)


async def test_a_file_of_more_rows_than_allowed_is_refused_and_one_of_as_many_is_not(prepare: Prepare) -> None:
    content = "a,b,y\n" + "1,2,3\n" * 5
    assert (await prepare(content, limits=NO_LIMITS | {"rows": 5})).rows == 5
    with pytest.raises(Refused, match=r"more than 4 rows.*MAX_ROWS"):
        await prepare(content + "1,2,3\n", limits=NO_LIMITS | {"rows": 4})


async def test_a_network_of_more_parameters_than_allowed_is_refused_before_the_file_is_read(prepare: Prepare) -> None:
    with pytest.raises(Refused, match=r"parameters; at most 5 .*MAX_PARAMETERS"):
        await prepare("a,b,y\n1,no number,3\n", limits=NO_LIMITS | {"parameters": 5})
