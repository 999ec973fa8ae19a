"""Predicts the rows of a CSV with a trained network, prepared as its training prepared them.

    python predict.py rows.csv predictions.csv
    python predict.py rows.csv > predictions.csv

It needs `pip install keras tensorflow`, and the model's .keras file beside it or named by --model. The CSV (UTF-8) has
a header with the network's columns, in any order and among others; they are delimited by comma, semicolon, tab or
vertical bar. What the network makes of each cell stands in the .keras file, in its member preparation.json.
"""

import argparse
import csv
import itertools
import json
import os
import sys
import zipfile
from collections.abc import Iterator
from typing import Any, TextIO

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np

MODEL = "model.keras"

# Cells that mean "no value here", in any case.
MISSING = ("", "na", "n/a", "#n/a", "nan", "null", "none", "?")
CHUNK_ROWS = 8192
LARGEST = float(np.finfo(np.float32).max)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", help="a CSV to read")
    parser.add_argument("predictions", nargs="?", help="the CSV to write; without it they are printed")
    parser.add_argument("--model", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), MODEL))
    options = parser.parse_args()
    with zipfile.ZipFile(options.model) as archive:
        preparation = json.loads(archive.read("preparation.json"))
    model: Any = keras.models.load_model(options.model, compile=False)
    if options.predictions is None:
        write_predictions(model, preparation, options.rows, sys.stdout)
        return
    # A whole file or none.
    part = options.predictions + ".part"
    with open(part, "w", encoding="utf-8", newline="") as out:
        write_predictions(model, preparation, options.rows, out)
    os.replace(part, options.predictions)


def write_predictions(model: Any, preparation: dict[str, Any], path: str, out: TextIO) -> None:
    classes = preparation["target"]["classes"]
    writer = csv.writer(out, lineterminator="\n")
    header = None
    rows = read_rows(path, [column["name"] for column in preparation["columns"]])
    while chunk := list(itertools.islice(rows, CHUNK_ROWS)):
        x = prepare(preparation, chunk)
        outputs = model.predict(x, batch_size=1024, verbose=0).reshape(len(x), -1)
        labels = likeliest(classes, outputs)
        if header is None:
            header = header_of(None if labels is None else classes, outputs.shape[1])
            writer.writerow(header)
        for number, values in enumerate(outputs):
            writer.writerow(values if labels is None else [as_text(labels[number]), *values])
    if header is None:
        sys.exit("The CSV has a header and no rows.")


def read_rows(path: str, names: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Pairs of a row's number, as a spreadsheet counts, and its cells in the order of `names`."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        delimiter, first, header = find_header(file, names)
        missing = [name for name in names if name not in header]
        if missing:
            sys.exit(f"The CSV lacks the columns {', '.join(missing)}; it has {', '.join(header)}.")
        places = [header.index(name) for name in names]
        file.seek(0)
        for number, cells in enumerate(csv.reader(file, delimiter=delimiter), start=1):
            if number <= first or not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                sys.exit(f"Row {number} has {len(cells)} cells, the header has {len(header)}.")
            yield number, [cells[place].strip() for place in places]


def find_header(file: TextIO, names: list[str]) -> tuple[str, int, list[str]]:
    """The delimiter with which the first row that is not empty names most of the columns; its number and its cells."""
    found = []
    for delimiter in ",;\t|":
        file.seek(0)
        for number, cells in enumerate(csv.reader(file, delimiter=delimiter), start=1):
            if any(cell.strip() for cell in cells):
                header = [cell.strip() for cell in cells]
                found.append((len(set(names) & set(header)), delimiter, number, header))
                break
    if not found:
        sys.exit("The CSV is empty.")
    return max(found, key=lambda item: item[0])[1:]


def prepare(preparation: dict[str, Any], rows: list[tuple[int, list[str]]]) -> np.ndarray:
    """The cells as the numbers that the network was trained on: rows × columns."""
    comma = preparation["decimal_mark"] == ","
    x = np.empty((len(rows), len(preparation["columns"])), dtype=np.float32)
    problems = []
    for at, column in enumerate(preparation["columns"]):
        codes = {text: code for code, text in enumerate(column["categories"])} if column["kind"] == "text" else None
        for place, (number, cells) in enumerate(rows):
            try:
                x[place, at] = code_of(codes, cells[at]) if codes else number_of(column, cells[at], comma)
            except ValueError as error:
                problems.append(f"Row {number}, column '{column['name']}': {error}")
        if column["mean"] is not None:
            x[:, at] = (x[:, at] - np.float32(column["mean"])) / np.float32(column["deviation"])
    if problems:
        sys.exit("\n".join(problems[:20]))
    return x


def code_of(codes: dict[str, int], text: str) -> int:
    category = "" if text.lower() in MISSING else text
    if category not in codes:
        raise ValueError(f"'{text}' was not among the values of the training.")
    return codes[category]


def number_of(column: dict[str, Any], text: str, comma: bool) -> float:
    if text.lower() in MISSING:
        if column["missing"] is None:
            raise ValueError("the value is missing, and in the training none was.")
        return column["missing"]
    try:
        number = float(text.replace(",", ".") if comma else text)
    except ValueError:
        raise ValueError(f"'{text}' is not a number.") from None
    if not abs(number) <= LARGEST:
        raise ValueError(f"'{text}' is not a number that fits into 32 bits.")
    return number


def likeliest(classes: list[Any] | None, outputs: np.ndarray) -> list[Any] | None:
    """The label of each row, empty where an output is no number; None for what is no classifier."""
    if classes is None:
        return None
    if outputs.shape[1] == len(classes):
        numbers = outputs.argmax(axis=1)
    elif (len(classes), outputs.shape[1]) == (2, 1):
        numbers = (outputs[:, 0] > 0.5).astype(int)
    else:
        return None
    return [classes[number] if np.isfinite(row).all() else "" for number, row in zip(numbers, outputs, strict=True)]


def header_of(classes: list[Any] | None, count: int) -> list[str]:
    """Predictions are numbers; of a classifier they are labels, beside them what the network gave for each class."""
    if classes is None:
        return ["prediction"] if count == 1 else [f"prediction_{number}" for number in range(1, count + 1)]
    return ["prediction", "output"] if count == 1 else ["prediction", *(f"output_{name}" for name in classes)]


def as_text(label: object) -> object:
    """A spreadsheet would run a text that begins like a formula."""
    return f"'{label}" if isinstance(label, str) and label.lstrip()[:1] in ("=", "+", "-", "@") else label


if __name__ == "__main__":
    main()
