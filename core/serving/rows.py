"""The rows that a prediction is asked for, from JSON instances or records, in the order of x_columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.base.errors import BadRequest


def requested_rows(body: Mapping[str, Any], columns: list[str]) -> list[list[Any]]:
    """Rows of as many cells as `columns`. Raises BadRequest with the row that is wrong and how."""
    if "instances" in body:
        return [_instance(number, row, columns) for number, row in _numbered(body["instances"], "instances")]
    if "records" in body:
        return [_record(number, row, columns) for number, row in _numbered(body["records"], "records")]
    raise BadRequest('Send {"instances": [[…], …]} or {"records": [{"column": value, …}, …]}.')


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
