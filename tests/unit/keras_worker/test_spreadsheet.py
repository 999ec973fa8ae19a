"""What a spreadsheet would run gets an apostrophe, in whatever table goes out."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.keras_worker.artifacts import write_log
from core.keras_worker.spreadsheet import as_text


@pytest.mark.parametrize("cell", ["=1", "+x", "-x", "@x", "\t=x", "\rx", "\nx", "  =x", "--1", "-1.5.5", "-inf", "=-1"])
def test_a_text_that_might_be_run_gets_an_apostrophe(cell: str) -> None:
    assert as_text(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "x=1", "-1.5", "+1", "-1e+5", "-,5", " -3 ", "'=1", "1", "a-b", "＝1"])
def test_numbers_and_plain_texts_stay_as_they_are(cell: str) -> None:
    assert as_text(cell) == cell


def test_the_training_log_is_safe_in_a_spreadsheet(tmp_path: Path) -> None:
    write_log({"loss": [-1.5, float("-inf")], "=cmd": [1.0, 2.0]}, tmp_path / "log.csv")
    assert (tmp_path / "log.csv").read_text().splitlines() == ["epoch,'=cmd,loss", "0,1.0,-1.5", "1,2.0,'-inf"]
