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
_LARGEST = float(np.finfo(np.float32).max)


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
    comma = preparation["decimal_mark"] == ","
    for at, column in enumerate(columns):
        codes = {category: float(code) for code, category in enumerate(column.get("categories", ()))}
        for number, row in enumerate(rows):
            try:
                x[number, at] = _category(codes, row[at]) if codes else _number(column, row[at], comma)
            except ValueError as error:
                problems.append(f"Row {number + 1}, column '{column['name']}': {error}")
    if problems:
        raise Refused(" ".join(problems[:_MOST_REPORTED]))
    standardise(x, columns)
    return x


def standardise(x: NDArray[np.float32], columns: list[dict[str, Any]]) -> None:
    """Standardises the columns that say so, in place."""
    for at, column in enumerate(columns):
        if column["mean"] is not None:
            x[:, at] = (x[:, at] - np.float32(column["mean"])) / np.float32(column["deviation"])


def _category(codes: dict[str, float], cell: Any) -> float:
    text = _text(cell)
    category = "" if text.lower() in MISSING_TEXTS else text
    if category not in codes:
        seen = ", ".join(f"'{known}'" for known in list(codes)[:10])
        raise ValueError(f"'{text}' was not among the values of the training ({seen}).")
    return codes[category]


def _number(column: dict[str, Any], cell: Any, comma: bool) -> float:
    text = _text(cell)
    if text.lower() in MISSING_TEXTS:
        if column["missing"] is None:
            raise ValueError("the value is missing, and in the training none was.")
        return float(column["missing"])
    try:
        value = float(text.replace(",", ".") if comma else text)
    except ValueError:
        raise ValueError(f"'{text}' is not a number.") from None
    if not abs(value) <= _LARGEST:
        raise ValueError(f"'{text}' is not a number that fits into 32 bits.")
    return value


def _text(cell: Any) -> str:
    return "" if cell is None else str(float(cell) if isinstance(cell, bool) else cell).strip()
