"""Rows of a CSV as the network sees them, block by block: the preparation of the training on polars' columns."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np
import polars as pl
from numpy.typing import NDArray

from core.keras_worker.columns import Column
from core.keras_worker.csv_blocks import ROW, Block, CsvReader
from core.keras_worker.csv_format import CsvFormat, not_readable
from core.keras_worker.errors import Refused
from core.keras_worker.preparation import LARGEST, MISSING_TEXTS, BadCells, CellReader, standardise

_MOST_REPORTED = 20


class CsvRows:
    """Iterates over pairs of a block's table (see `Block`) and its rows × columns for the network."""

    def __init__(self, preparation: dict[str, Any], file: BinaryIO, form: CsvFormat, first_row: int = 1) -> None:
        self._prepared: list[dict[str, Any]] = preparation["columns"]
        self._columns = [
            Column(prepared["name"], form.positions[prepared["name"].strip()], form.decimal)
            for prepared in self._prepared
        ]
        self._cells = [CellReader(prepared, form.decimal) for prepared in self._prepared]
        self._format = form
        self.reader = CsvReader(file, form, first_row)

    def __iter__(self) -> Iterator[tuple[pl.DataFrame, NDArray[np.float32]]]:
        """Raises Refused naming up to twenty bad cells or rows of a block."""
        try:
            for block in self.reader:
                self._refuse_ragged(block)
                yield block.table, self._read(block.table)
        except UnicodeDecodeError:
            raise not_readable(self._format) from None

    def _refuse_ragged(self, block: Block) -> None:
        if block.ragged:
            shown = ", ".join(f"row {row.row} has {row.cells}" for row in block.ragged[:_MOST_REPORTED])
            raise Refused(f"The header has {len(self._format.header)} cells, but {shown}, counted as in a spreadsheet.")

    def _read(self, table: pl.DataFrame) -> NDArray[np.float32]:
        """As `prepare_rows` reads the same cells: what is plain all at once, the rest cell by cell."""
        at_once = [
            (self._codes(column, cells) if cells.is_text else column.numbers()).alias(str(at))
            for at, (column, cells) in enumerate(zip(self._columns, self._cells, strict=True))
        ]
        x = np.empty((len(table), len(self._columns)), dtype=np.float32)
        bad = BadCells()
        for at, series in enumerate(table.select(at_once)):
            values = series.to_numpy(writable=True)
            doubtful = np.flatnonzero(~(np.abs(values) <= LARGEST))
            if len(doubtful):
                values[doubtful] = self._closely(at, table[doubtful], bad)
            x[:, at] = values
        bad.refuse()
        standardise(x, self._prepared)
        return x

    def _closely(self, at: int, table: pl.DataFrame, bad: BadCells) -> NDArray[np.float64]:
        """The cells of a column that are no plain numbers or known texts: between blanks, missing, or bad."""
        column, cells = self._columns[at], self._cells[at]
        texts = table[str(column.position)].str.strip_chars()
        values = texts.to_frame().select(column.numbers()).to_series().to_numpy(writable=True)
        for doubtful in np.flatnonzero(cells.is_text | ~(np.abs(values) <= LARGEST)).tolist():
            values[doubtful] = bad.read(cells, texts[doubtful], table[ROW][doubtful])
        return values

    def _codes(self, column: Column, cells: CellReader) -> pl.Expr:
        texts = pl.col(str(column.position)).fill_null("").str.strip_chars()
        known = pl.when(texts.str.to_lowercase().is_in(list(MISSING_TEXTS))).then(pl.lit("")).otherwise(texts)
        return known.replace_strict(cells.codes, default=np.nan, return_dtype=pl.Float64)


def as_it_can_be_read(content: bytes, form: CsvFormat) -> CsvFormat:
    """The format, with Windows-1252 for a part of a file of which only the beginning was UTF-8."""
    if form.encoding != "utf-8":
        return form
    try:
        content.decode()
    except UnicodeDecodeError:
        return replace(form, encoding="cp1252")
    return form
