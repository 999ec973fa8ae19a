"""The CSV read once, block by block: features into a float32 file, the target into memory, all findings on the way."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.keras_worker.columns import Column, DirtyCell
from core.keras_worker.commands import Call
from core.keras_worker.csv_blocks import Block, CsvReader, RaggedRow
from core.keras_worker.csv_format import CsvFormat, not_readable, sniff_format
from core.keras_worker.dataset import split_rows
from core.keras_worker.errors import Refused
from core.keras_worker.kill_points import passed
from core.keras_worker.limits import rows_problem
from core.keras_worker.preparation import standardise
from core.keras_worker.progress import Stages
from core.keras_worker.targets import Target

_MOST_REPORTED = 20
_CHUNK_ROWS = 65_536
_HISTOGRAM_ROWS = 100_000
_BINS = 10
Values = NDArray[np.float64]


@dataclass
class Table:
    """`y`: one value a row, codes of `y_categories` if they are texts; `columns`: the preparation of the features."""

    format: CsvFormat
    features: list[Column]
    target: Column
    x_path: Path
    y: Values
    y_categories: list[str] | None
    columns: list[dict[str, Any]]
    sha256: str
    empty_rows: int
    rows_without_target: int
    histograms: list[dict[str, Any] | None]

    @property
    def rows(self) -> int:
        return len(self.y)

    def profile(self, params: dict[str, Any], target: Target) -> dict[str, Any]:
        """What `result.dataset` shows: how the file is written, every used column, and what was done about gaps."""
        columns = [
            column.profile() | _treatment(prepared) | ({"histogram": bins} if bins else {})
            for column, prepared, bins in zip(self.features, self.columns, self.histograms, strict=True)
        ]
        split = split_rows(self.rows, params["validation_split"], params["test_split"])
        parts = {"train": len(split.train), "validation": len(split.validation), "test": len(split.test)}
        used = {column.name for column in (*self.features, self.target)}
        profile: dict[str, Any] = {
            "rows": self.rows,
            "split": parts,
            "format": self.format.described(),
            "columns": columns,
            "target": self.target.profile() | {"missing": self.rows_without_target},
            "unused_columns": [name for name in self.format.header if name not in used],
            "empty_rows": self.empty_rows,
            "rows_without_target": self.rows_without_target,
        }
        if target.classes is not None and len(target.classes) <= 100:
            counts = np.bincount(target.numbers, minlength=len(target.classes)).tolist()
            profile["classes"] = [
                {"label": label, "rows": count} for label, count in zip(target.classes, counts, strict=True)
            ]
        return profile


def read_table(csv: Path, folder: Path, params: dict[str, Any], call: Call, most_rows: int) -> Table:
    """Reads the CSV and writes `x.f32` into `folder`, prepared. Raises Refused for whatever is wrong with the file."""
    wanted = [*params["x_columns"], params["y_column"]]
    form = sniff_format(csv, wanted)
    try:
        return _Reading(csv, folder, params, form, call, most_rows).table()
    except UnicodeDecodeError as error:
        if form.encoding != "utf-8":
            raise not_readable(form) from error
        # Only its beginning was plain ASCII.
        return _Reading(csv, folder, params, sniff_format(csv, wanted, "cp1252"), call, most_rows).table()


class _Reading:
    """The one pass over the file, and what follows over the float32 file it writes."""

    def __init__(
        self, csv: Path, folder: Path, params: dict[str, Any], form: CsvFormat, call: Call, most_rows: int
    ) -> None:
        self._csv, self._params, self._format, self._call = csv, params, form, call
        self._most_rows = most_rows
        self._x_path = folder / "x.f32"
        self._size = csv.stat().st_size
        self._stages = Stages(call)
        self._features = [self._column(name) for name in params["x_columns"]]
        self._target = self._column(params["y_column"])
        self._y: list[Values] = []
        self._dirty: list[DirtyCell] = []
        self._ragged: list[RaggedRow] = []
        self._ragged_count = self._empty_rows = self._without_target = self._rows_met = 0

    def table(self) -> Table:
        with self._csv.open("rb") as csv, self._x_path.open("wb") as file:
            reader = CsvReader(csv, self._format)
            for block in reader:
                self._refuse_if_cancelled()
                self._stages.tell(f"Reading the data, {min(reader.bytes_read / self._size, 1):.0%}")
                self._take_findings(block)
                if len(block.table):
                    values = self._read(block)
                    if not self._y:
                        self._check_disk(reader.bytes_read, values.nbytes)
                    file.write(values.tobytes())
                passed("prepare-block-read")
        self._refuse_findings()
        y = np.concatenate(self._y) if self._y else np.empty(0)
        columns, histograms = self._prepare_features(len(y))
        y_categories = sorted(self._target.vocabulary) if self._target.kind == "text" else None
        return Table(
            format=self._format,
            features=self._features,
            target=self._target,
            x_path=self._x_path,
            y=self._target.sorted_codes()[y.astype(np.int64)].astype(float) if y_categories is not None else y,
            y_categories=y_categories,
            columns=columns,
            sha256=reader.digest.hexdigest(),
            empty_rows=self._empty_rows,
            rows_without_target=self._without_target,
            histograms=histograms,
        )

    def _column(self, name: str) -> Column:
        return Column(name.strip(), self._format.positions[name.strip()], self._format.decimal)

    def _take_findings(self, block: Block) -> None:
        self._rows_met += len(block.table)
        if problem := rows_problem(self._rows_met, self._most_rows):
            raise Refused(problem)
        self._empty_rows += block.empty_rows
        self._ragged_count += len(block.ragged)
        self._ragged += block.ragged[: _MOST_REPORTED - len(self._ragged)]

    def _read(self, block: Block) -> NDArray[np.float32]:
        """The block's features; rows without a target are left out of everything but the findings."""
        # All columns in one query: a query of its own for each costs a third of the time where there are many.
        columns = [self._target, *self._features]
        queries = [column.numbers().alias(str(at)) for at, column in enumerate(columns)]
        numbers = [series.to_numpy(writable=True) for series in block.table.select(queries)]
        y, dirty = self._target.read(block.table, numbers[0], _MOST_REPORTED)
        known = ~np.isnan(y)
        self._without_target += int(len(y) - known.sum())
        self._y.append(y[known])
        x = np.empty((int(known.sum()), len(self._features)), dtype=np.float32)
        for at, column in enumerate(self._features):
            values, found = column.read(block.table, numbers[at + 1], _MOST_REPORTED)
            dirty += found
            x[:, at] = values[known]
        self._dirty += sorted(dirty, key=lambda cell: cell.row)[: _MOST_REPORTED - len(self._dirty)]
        return x

    def _check_disk(self, bytes_read: int, bytes_written: int) -> None:
        needed = int(bytes_written * self._size / max(bytes_read, 1))
        free = shutil.disk_usage(self._x_path.parent).free
        if needed > free:
            raise Refused(
                f"The prepared data set needs {needed / 1e6:,.0f} MB of disk, but {free / 1e6:,.0f} MB are free on "
                "this instance: upload a smaller file."
            )

    def _refuse_findings(self) -> None:
        problems: list[str] = []
        if self._ragged_count:
            shown = ", ".join(f"row {row.row} has {row.cells}" for row in self._ragged)
            problems.append(
                f"{self._ragged_count:,} rows have another number of cells than the header's "
                f"{len(self._format.header)}: {shown}{_more(self._ragged_count)}."
            )
        for column in (*self._features, self._target):
            if column.dirty:
                cells = [cell for cell in self._dirty if cell.column == column.name]
                shown = f" ({', '.join(map(str, cells))}{_more(column.dirty, len(cells))})" if cells else ""
                problems.append(f"Column '{column.name}' has {column.dirty:,} cells that are not numbers{shown}.")
        if problems:
            raise Refused(" ".join(problems) + " The header is row 1. Correct the cells, or leave them empty.")
        rows = sum(map(len, self._y))
        if rows == 0:
            raise Refused("The CSV has no row with a value in the target column.")
        empty = [column.name for column in self._features if not column.kind]
        if empty:
            raise Refused(f"These columns have no value in any row: {', '.join(empty)}. Leave them out.")
        if len(split_rows(rows, self._params["validation_split"], self._params["test_split"]).train) == 0:
            raise Refused(f"{rows} rows are too few for these splits: none would be left to train on.")

    def _prepare_features(self, rows: int) -> tuple[list[dict[str, Any]], list[dict[str, Any] | None]]:
        """Fills gaps, orders codes and standardises, in place; column after column, so that memory stays small."""
        train = split_rows(rows, self._params["validation_split"], self._params["test_split"]).train
        x = np.memmap(self._x_path, dtype="<f4", mode="r+", shape=(rows, len(self._features)))
        columns: list[dict[str, Any]] = []
        histograms: list[dict[str, Any] | None] = []
        for at, column in enumerate(self._features):
            self._refuse_if_cancelled()
            self._stages.tell(f"Preparing column '{column.name}'")
            histograms.append(_histogram(x, at) if column.kind == "number" else None)
            columns.append(_fill(x, at, column, train))
        if self._params.get("standardize"):
            for at, column in enumerate(columns):
                column |= _moments(x, at, train)
            for start in range(0, rows, _CHUNK_ROWS):
                chunk = np.asarray(x[start : start + _CHUNK_ROWS])
                standardise(chunk, columns)
                x[start : start + _CHUNK_ROWS] = chunk
        x.flush()
        return columns, histograms

    def _refuse_if_cancelled(self) -> None:
        if self._call.cancelled:
            raise Refused("The training was cancelled.")


def _fill(x: np.memmap[Any, Any], at: int, column: Column, train: NDArray[np.int64]) -> dict[str, Any]:
    """Replaces what is missing in this column, and says what later rows need for the same."""
    prepared: dict[str, Any] = {"name": column.name, "kind": column.kind, "missing": None}
    prepared |= {"mean": None, "deviation": None}
    if column.kind == "number":
        if column.missing:
            values = np.asarray(x[:, at])
            seen = values[train]
            present = seen[~np.isnan(seen)]
            prepared["missing"] = float(np.median(present)) if len(present) else 0.0
            x[:, at] = np.where(np.isnan(values), np.float32(prepared["missing"]), values)
        return prepared
    # A missing text is the category "", which sorts before all others.
    shift = 1 if column.missing else 0
    codes = column.sorted_codes().astype(np.float32) + shift
    for start in range(0, len(x), _CHUNK_ROWS):
        values = np.asarray(x[start : start + _CHUNK_ROWS, at])
        missing = np.isnan(values)
        x[start : start + _CHUNK_ROWS, at] = np.where(missing, 0, codes[np.where(missing, 0, values).astype(np.int64)])
    return prepared | {"categories": [""] * shift + sorted(column.vocabulary)}


def _moments(x: np.memmap[Any, Any], at: int, train: NDArray[np.int64]) -> dict[str, float]:
    """Mean and standard deviation over the training rows; a constant column keeps a deviation of 1."""
    values = np.asarray(x[:, at])[train].astype(np.float64)
    return {"mean": float(values.mean()), "deviation": float(values.std()) or 1.0}


def _histogram(x: np.memmap[Any, Any], at: int) -> dict[str, Any]:
    """Ten bins over at most 100,000 rows spread evenly over the file."""
    values = np.asarray(x[:: max(1, len(x) // _HISTOGRAM_ROWS), at], dtype=np.float64)
    counts, edges = np.histogram(values[~np.isnan(values)], _BINS)
    return {"counts": counts.tolist(), "edges": edges.tolist()}


def _treatment(prepared: dict[str, Any]) -> dict[str, Any]:
    if prepared["kind"] == "text":
        empty = prepared["categories"][:1] == [""]
        rule = "numbered in alphabetical order" + ("; an empty cell is a category of its own" if empty else "")
        return {"treatment": rule}
    rules: list[str] = []
    if prepared["missing"] is not None:
        rules.append(f"missing values became the median of the training rows, {prepared['missing']:g}")
    if prepared["mean"] is not None:
        rules.append("standardised to mean 0 and deviation 1 over the training rows")
    return {"treatment": "; ".join(rules) or "as it is"}


def _more(total: int, shown: int = _MOST_REPORTED) -> str:
    return f" and {total - shown:,} more" if total > shown else ""
