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

    def read(self, table: pl.DataFrame, most_dirty: int) -> tuple[NDArray[np.float64], list[DirtyCell]]:
        """The block's values, NaN for missing ones, and up to `most_dirty` of its dirty cells. Texts become numbers in
        the order of their first appearance."""
        texts = table[str(self.position)]
        empty = texts.is_null() | texts.str.to_lowercase().is_in(list(MISSING_TEXTS))
        self.missing += int(empty.sum())
        plain = texts.str.replace(",", ".", literal=True) if self.decimal == "," else texts
        numbers = plain.cast(pl.Float64, strict=False)
        numbers = numbers.set(numbers.is_infinite() | (numbers.abs() > _LARGEST), None)
        odd = numbers.is_null() & ~empty
        odd_count = int(odd.sum())
        if not self.kind and not empty.all():
            self.kind = "number" if 2 * odd_count <= len(texts) - int(empty.sum()) else "text"
        if self.kind == "text":
            return self._encode(texts.set(empty, None)), []
        values = numbers.set(empty, None).fill_null(np.nan).to_numpy()
        self._count_numbers(values)
        self.dirty += odd_count
        found = table.filter(odd).head(most_dirty) if odd_count else table.head(0)
        cells = zip(found[ROW], found[str(self.position)], strict=True)
        return values, [DirtyCell(row, self.name, content) for row, content in cells]

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
