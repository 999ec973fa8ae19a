"""A plain Python script that predicts from a CSV with the `.keras` file: `exported_script`, run once before it goes."""

import csv
import json
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np

from core.keras_worker.artifacts import read_preparation
from core.keras_worker.exportable import Exportable, Outputs, Written

_MODEL_LINE = 'MODEL = "model.keras"\n'
_MOST_NAMED = 50


def write_script(source: Exportable, path: Path) -> Written:
    preparation = read_preparation(source.path)
    text = Path(__file__).with_name("exported_script.py").read_text(encoding="utf-8")
    path.write_text(text.replace(_MODEL_LINE, _constants(source.name, preparation)), encoding="utf-8")
    table, predictions = path.with_name("rows.csv"), path.with_name("predictions.csv")
    _write_table(preparation, source, table)
    _run(path, str(table), str(predictions), "--model", str(source.path))
    return Written(_outputs(predictions))


def _constants(model: str, preparation: dict[str, Any]) -> str:
    names = [column["name"] for column in preparation["columns"]]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    # As JSON in ASCII no name can leave its comment.
    return (
        f"# Columns, in the network's order: {json.dumps(names[:_MOST_NAMED])}{more}\n"
        f"# What it predicts: {json.dumps(preparation['target']['name'])}\n"
        f"MODEL = {json.dumps(model)}\n"
    )


def _write_table(preparation: dict[str, Any], source: Exportable, path: Path) -> None:
    """The sample as somebody's CSV: with cells as they were before the preparation, the columns in another order, and
    one that the network does not take."""
    columns: list[dict[str, Any]] = preparation["columns"]
    comma = preparation["decimal_mark"] == ","
    cells = [_cells(column, source.sample[:, at], comma) for at, column in enumerate(columns)]
    other = "-".join(column["name"] for column in columns) + "-"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=";" if comma else ",")
        writer.writerow([*(column["name"] for column in reversed(columns)), other])
        for row in range(len(source.sample)):
            writer.writerow([*(column[row] for column in reversed(cells)), "other"])


def _cells(column: dict[str, Any], values: Any, comma: bool) -> list[str]:
    if column["mean"] is not None:
        values = values.astype(np.float64) * np.float32(column["deviation"]) + np.float32(column["mean"])
    if column["kind"] == "text":
        return [column["categories"][round(code)] for code in values.tolist()]
    numbers = [str(value) for value in values.astype(np.float32)]
    if column["missing"] is not None:
        gap = str(np.float32(column["missing"]))
        numbers = ["" if number == gap else number for number in numbers]
    return [number.replace(".", ",") for number in numbers] if comma else numbers


def _run(script: Path, *arguments: str) -> None:
    """Runs the script in this child, whose time and memory are limited and which has no key."""
    before, sys.argv = sys.argv, [str(script), *arguments]
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as ended:
        raise RuntimeError(f"The script ended: {ended.code}") from ended
    finally:
        sys.argv = before


def _outputs(predictions: Path) -> Outputs:
    with predictions.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    labelled = len(header) > 1 and header[1].startswith("output")
    return np.array([row[1:] if labelled else row for row in rows], dtype=np.float32)
