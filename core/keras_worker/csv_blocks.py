"""A CSV in blocks of whole rows, so that a file of any size is read in little memory.

polars parses each block as text. What it leaves unsaid, rows with too few or too many cells, is found by counting
delimiters, and named by reading the block once more with Python's csv module.
"""

import codecs
import csv
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import polars as pl

from core.keras_worker.csv_format import CsvFormat
from core.keras_worker.errors import Refused

_PIECE_BYTES = 8 * 1024 * 1024
LONGEST_ROW = 64 * 1024 * 1024
ROW = "\0row"


@dataclass(frozen=True)
class RaggedRow:
    """A row with another number of cells than the header. `row` is counted as in a spreadsheet, the header included."""

    row: int
    cells: int


@dataclass(frozen=True)
class Block:
    """`table`: columns "0", "1", … of text, and the row number in ROW; rows without any cell are left out."""

    table: pl.DataFrame
    ragged: list[RaggedRow]
    empty_rows: int


class CsvReader:
    """Iterates over blocks; `digest` is the SHA-256 of all bytes of the file once the iteration has ended.

    What begins with a later row than the first is a part of a file, without BOM and header. `next_row` is the row that
    follows the last block.
    """

    def __init__(self, file: BinaryIO, form: CsvFormat, first_row: int = 1) -> None:
        self._file = file
        self._format = form
        self._bom_bytes = form.bom_bytes if first_row == 1 else 0
        self.next_row = first_row
        self.digest = hashlib.sha256()
        self.bytes_read = 0

    def __iter__(self) -> Iterator[Block]:
        """Raises Refused for a quotation mark that is never closed, UnicodeDecodeError for a wrong encoding."""
        rest = b""
        for piece in self._pieces():
            rest += piece
            cut = last_row_end(rest)
            if cut:
                yield from self._block(rest[:cut])
                rest = rest[cut:]
            elif len(rest) > LONGEST_ROW:
                raise Refused(never_closed(self.next_row))
        if rest.strip():
            yield from self._block(rest + b"\n")

    def _pieces(self) -> Iterator[bytes]:
        """The file as UTF-8 with newlines as \\n."""
        decoder = codecs.getincrementaldecoder(self._format.encoding)(
            "replace" if self._format.encoding == "cp1252" else "strict"
        )
        self.digest.update(self._file.read(self._bom_bytes))
        carried = b""
        while True:
            raw = self._file.read(_PIECE_BYTES)
            self.digest.update(raw)
            self.bytes_read += len(raw)
            plain = self._format.encoding == "utf-8" and raw.isascii() and not decoder.getstate()[0]
            piece = carried + (raw if plain else decoder.decode(raw, final=not raw).encode())
            # A lone \r at the end may be half of \r\n.
            carried = b"\r" if raw and piece.endswith(b"\r") else b""
            piece = piece[: len(piece) - len(carried)]
            if b"\r" in piece:
                piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            yield piece
            if not raw:
                return

    def _block(self, content: bytes) -> Iterator[Block]:
        first = self.next_row
        if first <= self._format.header_row:
            content, skipped = _without_first_rows(content, self._format.header_row + 1 - first)
            first += skipped
            if not content:
                self.next_row = first
                return
        table = self._parse(content)
        ragged: list[RaggedRow] = []
        if table is None or self._suspicious(content, table):
            table, ragged = self._parse_slowly(content, first)
        numbered = table.with_row_index(ROW, offset=first)
        self.next_row = first + len(table)
        blank = (pl.col("0").is_null() | (pl.col("0").str.strip_chars() == "")) & pl.all_horizontal(
            pl.exclude(ROW, "0").is_null()
        )
        kept = numbered.filter(~blank)
        yield Block(kept, ragged, len(numbered) - len(kept))

    @property
    def _names(self) -> list[str]:
        return [str(position) for position in range(len(self._format.header))]

    def _parse(self, content: bytes) -> pl.DataFrame | None:
        try:
            return pl.read_csv(
                content,
                has_header=False,
                separator=self._format.delimiter,
                schema=dict.fromkeys(self._names, pl.String),
            )
        except pl.exceptions.PolarsError:
            return None

    def _suspicious(self, content: bytes, table: pl.DataFrame) -> bool:
        """Whether some row may have too few cells, which polars fills up silently."""
        if b'"' not in content:
            return content.count(self._format.delimiter.encode()) != len(table) * (len(self._names) - 1)
        return table[self._names[-1]].null_count() > 0

    def _parse_slowly(self, content: bytes, first: int) -> tuple[pl.DataFrame, list[RaggedRow]]:
        width = len(self._names)
        rows: list[list[str | None]] = []
        ragged: list[RaggedRow] = []
        csv.field_size_limit(LONGEST_ROW)
        reader = csv.reader(io.StringIO(content.decode(), newline=""), delimiter=self._format.delimiter)
        for number, row in enumerate(reader, start=first):
            blank = not any(cell.strip() for cell in row)
            if len(row) != width and not blank:
                ragged.append(RaggedRow(number, len(row)))
            rows.append([cell or None for cell in (row + [""] * width)[:width]])
        return pl.DataFrame(rows, schema=dict.fromkeys(self._names, pl.String), orient="row"), ragged


def never_closed(row: int) -> str:
    """What a person is told when a row does not come to its end."""
    return f"A quotation mark opened at or after row {row} is never closed: correct the file."


def last_row_end(content: bytes) -> int:
    """The length of the longest beginning that ends with a newline outside quotation marks; 0 if there is none."""
    at = content.rfind(b"\n")
    inside = at >= 0 and content.count(b'"', 0, at) % 2 == 1
    while inside:
        before = content.rfind(b"\n", 0, at)
        inside = before >= 0 and content.count(b'"', before, at) % 2 == 0
        at = before
    return at + 1


def _without_first_rows(content: bytes, rows: int) -> tuple[bytes, int]:
    """Cuts off the header and the empty lines before it."""
    skipped = 0
    while skipped < rows and content:
        end = content.find(b"\n") + 1 or len(content)
        while content.count(b'"', 0, end) % 2 and end < len(content):
            end = content.find(b"\n", end) + 1 or len(content)
        content = content[end:]
        skipped += 1
    return content, skipped
