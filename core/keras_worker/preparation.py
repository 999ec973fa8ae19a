"""The preparation: how cells become the numbers that the network sees, the same in training and prediction.

It is a JSON object that travels with the model:

    {"columns": [{"name", "kind": "number", "missing": median, "mean": m, "deviation": s}
                 {"name", "kind": "text", "categories": [text, …], "missing": "" or null, "mean", "deviation"}, …],
     "target": {"name", "form", "classes": [label, …] or null},
     "decimal_mark": "." or ","}

A missing number becomes the median of the training rows; a missing text is a category of its own, the empty text, if
training had one. `mean` and `deviation`, of the training rows too, are there when columns are standardised: the
network sees (value − mean) / deviation.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.keras_worker.errors import Refused

# Cells that mean "no value here", in any case.
MISSING_TEXTS = ("", "na", "n/a", "#n/a", "nan", "null", "none", "?")
_MOST_REPORTED = 20
_LONGEST_SHOWN = 60
LARGEST = float(np.finfo(np.float32).max)


def prepare_rows(preparation: dict[str, Any], rows: list[list[Any]]) -> NDArray[np.float32]:
    """rows × columns of cells (numbers, text or null) as float32. Raises Refused naming up to twenty bad cells."""
    columns = preparation["columns"]
    problems = [
        f"Row {number} has {len(row)} values, but the network takes {len(columns)}."
        for number, row in enumerate(rows, start=1)
        if len(row) != len(columns)
    ]
    if not rows:
        problems.append("There are no rows to predict.")
    if problems:
        raise Refused(" ".join(problems[:_MOST_REPORTED]))
    x = np.empty((len(rows), len(columns)), dtype=np.float32)
    bad = BadCells()
    for at, (column, cells) in enumerate(zip(columns, zip(*rows, strict=True), strict=True)):
        reader = CellReader(column, preparation["decimal_mark"])
        values = np.full(len(cells), np.nan) if reader.is_text else _plain_numbers(cells)
        for doubtful in np.flatnonzero(~(np.abs(values) <= LARGEST)).tolist():
            values[doubtful] = bad.read(reader, cells[doubtful], doubtful + 1)
        x[:, at] = values
    bad.refuse()
    standardise(x, columns)
    return x


class CellReader:
    """Reads the cells of one column, one at a time."""

    def __init__(self, column: dict[str, Any], decimal_mark: str) -> None:
        self.column = column
        self.is_text = "categories" in column
        self.codes = {category: float(code) for code, category in enumerate(column.get("categories", ()))}
        self._comma = decimal_mark == ","

    def value(self, cell: Any) -> float:
        """The number that stands for the cell. Raises ValueError with what is wrong with it."""
        if isinstance(cell, list | dict):
            raise ValueError("a value is needed, not a list or an object.")
        text = "" if cell is None else str(float(cell) if isinstance(cell, bool) else cell).strip()
        return self._code(text) if self.is_text else self._number(text)

    def _code(self, text: str) -> float:
        code = self.codes.get("" if text.lower() in MISSING_TEXTS else text)
        if code is None:
            seen = ", ".join(f"'{_short(known)}'" for known in list(self.codes)[:10])
            raise ValueError(f"'{_short(text)}' was not among the values of the training ({seen}).")
        return code

    def _number(self, text: str) -> float:
        if text.lower() in MISSING_TEXTS:
            if self.column["missing"] is None:
                raise ValueError("the value is missing, and in the training none was.")
            return float(self.column["missing"])
        try:
            value = float(text.replace(",", ".") if self._comma else text)
        except ValueError:
            raise ValueError(f"'{_short(text)}' is not a number.") from None
        if not abs(value) <= LARGEST:
            raise ValueError(f"'{_short(text)}' is not a number that fits into 32 bits.")
        return value


class BadCells:
    """Collects the cells that the preparation cannot read, so that all of them are told at once."""

    def __init__(self) -> None:
        self._found: list[tuple[int, str]] = []

    def read(self, reader: CellReader, cell: Any, row: int) -> float:
        """The number that stands for the cell; NaN, after taking the cell down with its row, if there is none."""
        try:
            return reader.value(cell)
        except ValueError as error:
            self._found.append((row, f"Row {row}, column '{reader.column['name']}': {error}"))
            return np.nan

    def refuse(self) -> None:
        """Raises Refused if there was any, naming the first twenty."""
        if self._found:
            first = sorted(self._found, key=lambda found: found[0])[:_MOST_REPORTED]
            raise Refused(" ".join(text for _, text in first))


def standardise(x: NDArray[np.float32], columns: list[dict[str, Any]]) -> None:
    """Standardises the columns that say so, in place."""
    for at, column in enumerate(columns):
        if column["mean"] is not None:
            x[:, at] = (x[:, at] - np.float32(column["mean"])) / np.float32(column["deviation"])


def _plain_numbers(cells: tuple[Any, ...]) -> NDArray[np.float64]:
    """The cells as NumPy reads them all at once, NaN where it cannot: those are looked at one by one."""
    try:
        values = np.array(cells, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        return np.full(len(cells), np.nan)
    return values if values.ndim == 1 else np.full(len(cells), np.nan)


def _short(text: str) -> str:
    return text[:_LONGEST_SHOWN]
