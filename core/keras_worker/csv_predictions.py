"""A part of a CSV with what a network predicts for its rows: read, prepared, predicted and written."""

import codecs
import csv
import io
from typing import Any, BinaryIO

import numpy as np
import polars as pl
from numpy.typing import NDArray

from core.keras_worker.csv_blocks import LONGEST_ROW, ROW, last_row_end, never_closed
from core.keras_worker.csv_format import CsvFormat, not_readable
from core.keras_worker.csv_rows import CsvRows, as_it_can_be_read
from core.keras_worker.errors import Refused
from core.keras_worker.outputs import class_names, class_numbers, probabilities
from core.keras_worker.predictors import CHUNK_ROWS, Predictor
from core.keras_worker.spreadsheet import FORMULA, NUMBER, as_text

# A probability for each of more classes makes a table that no spreadsheet shows.
_MOST_CLASSES = 100


class CsvPart:
    """Bytes of a CSV that begin with its row `first_row`; `consumed` of them are whole rows.

    Raises Refused for a row without end.
    """

    def __init__(self, content: bytes, form: CsvFormat, first_row: int, last: bool) -> None:
        self.first_row = first_row
        self.consumed = len(content) if last else _whole_rows(content, form, first_row)
        if not self.consumed and len(content) > LONGEST_ROW:
            raise Refused(never_closed(first_row))
        self._content = content[: self.consumed]
        self._format = as_it_can_be_read(self._content, form)

    def predict(self, model: Predictor, output: BinaryIO) -> tuple[int, int]:
        """Writes the rows with their predictions; how many there were, and the number of the row after them. Raises
        Refused for rows that cannot be read."""
        target, form = model.preparation["target"], self._format
        if self.first_row == 1:
            output.write(_header(form, said(target, np.empty((0, model.units), dtype=np.float32), form)))
        rows = CsvRows(model.preparation, io.BytesIO(self._content), form, self.first_row)
        written = 0
        for table, x in rows:
            cells = [_as_texts(pl.col(name)).alias(name) for name in table.columns if name != ROW]
            predicted = table.select(cells).with_columns(**said(target, _outputs(model, x), form))
            predicted.write_csv(output, include_header=False, separator=form.delimiter)
            written += len(x)
        return written, rows.reader.next_row


def said(target: dict[str, Any], outputs: NDArray[np.float32], form: CsvFormat) -> dict[str, pl.Series]:
    """The columns that say what the network predicts, by names that the CSV does not have."""
    numbers, chances = class_numbers(target, outputs), probabilities(target, outputs)
    columns: dict[str, pl.Series] = {}
    if numbers is not None:
        columns["prediction"] = _labels(target["classes"], numbers, form)
    elif outputs.shape[1] == 1:
        columns["prediction"] = _numbers(outputs[:, 0], form)
    else:
        columns |= {f"prediction_{at + 1}": _numbers(outputs[:, at], form) for at in range(outputs.shape[1])}
    if chances is not None and chances.shape[1] <= _MOST_CLASSES:
        names = class_names(target)
        columns |= {f"probability_{name}": _numbers(chances[:, at], form) for at, name in enumerate(names)}
    elif chances is not None:
        columns["probability"] = _numbers(chances.max(axis=1, initial=0), form)
    return _freely_named(columns, form.header)


def _outputs(model: Predictor, x: NDArray[np.float32]) -> NDArray[np.float32]:
    chunks = [model.outputs(x[start : start + CHUNK_ROWS]) for start in range(0, len(x), CHUNK_ROWS)]
    return np.concatenate([np.empty((0, model.units), dtype=np.float32), *chunks])


def _header(form: CsvFormat, columns: dict[str, pl.Series]) -> bytes:
    """The first line; with a BOM where the source had one, or an encoding that spreadsheets take for granted."""
    line = io.StringIO()
    names = map(as_text, [*form.header, *columns])
    csv.writer(line, delimiter=form.delimiter, lineterminator="\n").writerow(names)
    return line.getvalue().encode("utf-8-sig" if form.bom_bytes or form.encoding != "utf-8" else "utf-8")


def _as_texts(cells: pl.Expr) -> pl.Expr:
    """`as_text` for a column."""
    risky = cells.str.contains(FORMULA) & ~cells.str.contains(NUMBER)
    return pl.when(risky).then(pl.lit("'") + cells).otherwise(cells)


def _labels(classes: list[Any], numbers: NDArray[np.int64], form: CsvFormat) -> pl.Series:
    texts = [str(label).replace(".", form.decimal) if isinstance(label, float) else str(label) for label in classes]
    # Of a row without a likeliest class the number is −1: the last of the list.
    known = np.array([*map(as_text, texts), None], dtype=object)
    return pl.Series(known[numbers].tolist(), dtype=pl.String)


def _numbers(values: NDArray[np.float32], form: CsvFormat) -> pl.Series:
    """As few digits as name the float32, empty where it is no number."""
    series = pl.Series(np.where(np.isfinite(values), values, np.float32(np.nan))).fill_nan(None).cast(pl.String)
    return series.str.replace(".", form.decimal, literal=True)


def _freely_named(columns: dict[str, pl.Series], header: list[str]) -> dict[str, pl.Series]:
    """With a number behind each name that the CSV has already, as one that was predicted before does."""
    taken, named = set(header), dict[str, pl.Series]()
    for name, column in columns.items():
        free, number = name, 1
        while free in taken:
            number += 1
            free = f"{name}_{number}"
        taken.add(free)
        named[free] = column
    return named


def _whole_rows(content: bytes, form: CsvFormat, first_row: int) -> int:
    """How many of the bytes, at the beginning, are whole rows."""
    if form.encoding in ("utf-8", "cp1252"):
        return last_row_end(content if b"\n" in content else _with_newlines(content))
    bom_bytes = form.bom_bytes if first_row == 1 else 0
    try:
        text = codecs.getincrementaldecoder(form.encoding)().decode(content[bom_bytes:])
    except UnicodeDecodeError:
        raise not_readable(form) from None
    plain = text.encode()
    whole = last_row_end(plain if "\n" in text else _with_newlines(plain))
    return bom_bytes + len(plain[:whole].decode().encode(form.encoding)) if whole else 0


def _with_newlines(content: bytes) -> bytes:
    """Rows that end with \\r alone, as if they ended with \\n. One at the very end may be half of \\r\\n."""
    return content[:-1].replace(b"\r", b"\n")
