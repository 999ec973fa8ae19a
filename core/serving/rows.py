"""The rows that a prediction is asked for, from JSON instances or records or a CSV, in the order of x_columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from core.base.errors import BadRequest
from core.keras_worker.csv_format import sniff_sample
from core.keras_worker.errors import Refused


def requested_rows(body: Mapping[str, Any], columns: list[str]) -> list[list[Any]]:
    """Rows of as many cells as `columns`. Raises BadRequest with the row that is wrong and how."""
    if "instances" in body:
        return [_instance(number, row, columns) for number, row in _numbered(body["instances"], "instances")]
    if "records" in body:
        return [_record(number, row, columns) for number, row in _numbered(body["records"], "records")]
    raise BadRequest('Send {"instances": [[…], …]} or {"records": [{"column": value, …}, …]}.')


def table_rows(content: bytes, columns: list[str]) -> list[list[Any]]:
    """The rows of a CSV whose header has the columns, in any order and among others. Raises BadRequest."""
    try:
        form = sniff_sample(content, columns)
    except Refused as refusal:
        raise BadRequest(str(refusal)) from None
    text = content[form.bom_bytes :].decode(form.encoding, "replace")
    positions = [form.positions[column.strip()] for column in columns]
    rows: list[list[Any]] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=form.delimiter)
    try:
        for number, cells in enumerate(reader, start=1):
            if number <= form.header_row or not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(form.header):
                raise BadRequest(f"Row {number} has {len(cells)} cells; the header has {len(form.header)}.")
            chosen = [cells[position].strip() for position in positions]
            rows.append([cell.replace(",", ".") for cell in chosen] if form.decimal == "," else chosen)
    except csv.Error as error:
        raise BadRequest(f"The CSV cannot be read near line {reader.line_num}: {error}.") from None
    if not rows:
        raise BadRequest("The CSV has a header and no rows.")
    return rows


def _numbered(rows: Any, name: str) -> list[tuple[int, Any]]:
    if not isinstance(rows, list) or not rows:
        raise BadRequest(f"'{name}' must be a list with at least one row.")
    return list(enumerate(rows, start=1))


def _instance(number: int, row: Any, columns: list[str]) -> list[Any]:
    if not isinstance(row, list):
        raise BadRequest(f"Row {number} must be a list of {len(columns)} values.")
    if len(row) != len(columns):
        raise BadRequest(
            f"Row {number} has {len(row)} values; this model takes {len(columns)}: {', '.join(columns[:20])}."
        )
    return [_cell(number, column, value) for column, value in zip(columns, row, strict=True)]


def _record(number: int, row: Any, columns: list[str]) -> list[Any]:
    if not isinstance(row, dict):
        raise BadRequest(f"Row {number} must be an object of column names and values.")
    missing = [column for column in columns if column not in row]
    if missing:
        raise BadRequest(f"Row {number} lacks the column {', '.join(missing[:20])}.")
    return [_cell(number, column, row[column]) for column in columns]


def _cell(number: int, column: str, value: Any) -> Any:
    if isinstance(value, dict | list):
        raise BadRequest(f"Row {number}, column '{column}': a value is needed, not a list or an object.")
    return value
