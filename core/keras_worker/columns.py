"""One column of the CSV on its way to numbers: its kind, its missing cells, its dirty cells, its vocabulary."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from core.keras_worker.csv_blocks import ROW
from core.keras_worker.errors import Refused
from core.keras_worker.preparation import MISSING_TEXTS

# More different texts than this are names or numbers of something, not categories.
MOST_CATEGORIES = 10_000
_MOST_DISTINCT = 1_000
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class DirtyCell:
    """A cell of a column of numbers that is no number. `row` is counted as in a spreadsheet, the header included."""

    row: int
    column: str
    content: str

    def __str__(self) -> str:
        return f"row {self.row}: '{self.content[:60]}'"


@dataclass
class Column:
    """Reads a column block after block. `kind` is decided by the first block that has values: numbers if at least half
    of its cells are numbers."""

    name: str
    position: int
    decimal: str
    kind: str = ""
    missing: int = 0
    dirty: int = 0
    vocabulary: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    distinct: set[float] = field(default_factory=set)
    smallest: float = np.inf
    largest: float = -np.inf
    total: float = 0.0
    values: int = 0

    def read(
        self, table: pl.DataFrame, values: NDArray[np.float64], most_dirty: int
    ) -> tuple[NDArray[np.float64], list[DirtyCell]]:
        """The block's values, NaN for missing ones, and up to `most_dirty` of its dirty cells. Texts become numbers in
        the order of their first appearance. `values` is what `numbers` makes of the block; it may be changed."""
        fine = np.abs(values) <= _LARGEST
        if fine.all() and self.kind != "text":
            self.kind = self.kind if len(values) == 0 else "number"
            self._count_numbers(values)
            return values, []
        return self._read_closely(table, values, ~fine, most_dirty)

    def numbers(self) -> pl.Expr:
        """The column's cells as numbers, NaN where they are none."""
        texts = pl.col(str(self.position))
        plain = texts.str.replace(",", ".", literal=True) if self.decimal == "," else texts
        return plain.cast(pl.Float64, strict=False).fill_null(np.nan)

    def _read_closely(
        self, table: pl.DataFrame, values: NDArray[np.float64], doubtful: NDArray[np.bool_], most_dirty: int
    ) -> tuple[NDArray[np.float64], list[DirtyCell]]:
        """`read` where some cells are not numbers at first sight: missing, between blanks, texts, or dirty."""
        texts = table[str(self.position)].str.strip_chars()
        at = np.flatnonzero(doubtful)
        cells = texts.gather(at)
        missing = (cells.is_null() | cells.str.to_lowercase().is_in(list(MISSING_TEXTS))).to_numpy()
        self.missing += int(missing.sum())
        numbers = cells.to_frame().select(self.numbers()).to_series().to_numpy()
        odd = at[~missing & ~(np.abs(numbers) <= _LARGEST)]
        if not self.kind and missing.sum() < len(values):
            self.kind = "number" if 2 * len(odd) <= len(values) - missing.sum() else "text"
        if self.kind == "text":
            gaps = pl.Series(np.zeros(len(texts), dtype=bool)).scatter(at[missing], True)
            return self._encode(texts.set(gaps, None)), []
        values[at] = np.where(missing, np.nan, numbers)
        values[odd] = np.nan
        self._count_numbers(values)
        self.dirty += len(odd)
        found = table[odd[:most_dirty].tolist()]
        return values, [
            DirtyCell(row, self.name, content.strip())
            for row, content in zip(found[ROW], found[str(self.position)], strict=True)
        ]

    def sorted_codes(self) -> NDArray[np.int32]:
        """By the numbers that `read` gave to texts: those by alphabetical order."""
        order = {text: code for code, text in enumerate(sorted(self.vocabulary))}
        return np.array([order[text] for text in self.vocabulary], dtype=np.int32)

    def profile(self) -> dict[str, Any]:
        """What the person is told about the column; `distinct` is null beyond a thousand values."""
        described: dict[str, Any] = {"name": self.name, "type": self.kind, "missing": self.missing}
        if self.kind == "text":
            frequent = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))[:10]
            return described | {"distinct": len(self.vocabulary), "most_frequent": dict(frequent)}
        return described | {
            "distinct": len(self.distinct) if len(self.distinct) <= _MOST_DISTINCT else None,
            "min": self.smallest,
            "max": self.largest,
            "mean": self.total / self.values if self.values else None,
        }

    def _encode(self, texts: pl.Series) -> NDArray[np.float64]:
        for text, count in texts.drop_nulls().value_counts(sort=True).iter_rows():
            self.vocabulary.setdefault(text, len(self.vocabulary))
            self.counts[text] = self.counts.get(text, 0) + count
        if len(self.vocabulary) > MOST_CATEGORIES:
            raise Refused(
                f"Column '{self.name}' holds more than {MOST_CATEGORIES:,} different texts, which are no categories: "
                "leave the column out, or turn it into numbers."
            )
        codes = texts.replace_strict(self.vocabulary, return_dtype=pl.Float64, default=None)
        return codes.fill_null(np.nan).to_numpy()

    def _count_numbers(self, values: NDArray[np.float64]) -> None:
        present = values[~np.isnan(values)]
        if not len(present):
            return
        self.values += len(present)
        self.total += float(present.sum())
        self.smallest = min(self.smallest, float(present.min()))
        self.largest = max(self.largest, float(present.max()))
        if len(self.distinct) <= _MOST_DISTINCT:
            self.distinct.update(np.unique(present)[: _MOST_DISTINCT + 1].tolist())
