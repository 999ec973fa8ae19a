"""How a CSV is written: encoding, delimiter, decimal mark and header, found out from its beginning."""

import codecs
import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.keras_worker.errors import Refused

SAMPLE_BYTES = 1024 * 1024
_SAMPLE_ROWS = 200
_DELIMITERS = (",", ";", "\t", "|")
_POINT = re.compile(r"[-+]?\d*\.\d+(e[-+]?\d+)?", re.IGNORECASE)
_COMMA = re.compile(r"[-+]?\d*,\d+(e[-+]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class CsvFormat:
    """`header`: all column names, trimmed; `header_row`: its row in the file, from 1; `positions`: wanted columns."""

    encoding: str
    bom_bytes: int
    delimiter: str
    decimal: str
    header: list[str]
    header_row: int
    positions: dict[str, int]

    def described(self) -> dict[str, Any]:
        """What the person is told."""
        names = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
        encoding = {"utf-8": "UTF-8", "cp1252": "Windows-1252 (Latin-1)"}.get(self.encoding, self.encoding.upper())
        return {
            "encoding": encoding + (" with BOM" if self.bom_bytes else ""),
            "delimiter": names[self.delimiter],
            "decimal_mark": "comma" if self.decimal == "," else "point",
        }


def not_readable(form: CsvFormat) -> Refused:
    """What a person is told of a file whose later bytes are no text in its encoding."""
    return Refused(f"The file is not readable as {form.encoding.upper()} text: save it as UTF-8.")


def sniff_format(path: Path, wanted: list[str], encoding: str | None = None) -> CsvFormat:
    """Reads the beginning of the file; `encoding` overrides what its first bytes look like.

    Raises Refused if it is empty, not text, or its header lacks a wanted column or has it twice.
    """
    with path.open("rb") as file:
        return sniff_sample(file.read(SAMPLE_BYTES), wanted, encoding)


def sniff_sample(sample: bytes, wanted: list[str], encoding: str | None = None) -> CsvFormat:
    """The same for the first bytes of a file."""
    found, bom_bytes = _encoding(sample)
    encoding = encoding or found
    text = sample[bom_bytes:].decode(encoding, errors="replace")
    if "\0" in text:
        raise Refused("The file is not a text file: upload a CSV.")
    if not text.strip():
        raise Refused("The file is empty: upload a CSV with a header and at least one row.")
    wanted = [name.strip() for name in wanted]
    tables = {mark: _first_rows(text, mark) for mark in _DELIMITERS}
    delimiter = max(_DELIMITERS, key=lambda mark: _fit(tables[mark], wanted))
    rows = tables[delimiter]
    header_row = next(number for number, row in enumerate(rows) if any(cell.strip() for cell in row))
    header = [name.strip() for name in rows[header_row]]
    positions = _positions(header, wanted)
    cells = [row[at] for row in rows[header_row + 1 :] for at in positions.values() if at < len(row)]
    decimal = "," if delimiter != "," and _has_decimal_comma(cells) else "."
    return CsvFormat(encoding, bom_bytes, delimiter, decimal, header, header_row + 1, positions)


def _encoding(sample: bytes) -> tuple[str, int]:
    for bom, name in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if sample.startswith(bom):
            return name, len(bom)
    even, odd = sample[0:2000:2].count(0), sample[1:2000:2].count(0)
    if max(even, odd) > len(sample[:2000]) // 4:
        return ("utf-16-le" if odd > even else "utf-16-be"), 0
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return "cp1252", 0
    return "utf-8", 0


def _first_rows(text: str, delimiter: str) -> list[list[str]]:
    """The first whole records; the sample may end inside a line."""
    reader = csv.reader(io.StringIO(text.replace("\r\n", "\n").replace("\r", "\n"), newline=""), delimiter=delimiter)
    rows: list[list[str]] = []
    try:
        for row in reader:
            rows.append(row)
            if len(rows) > _SAMPLE_ROWS:
                break
    except csv.Error:
        pass  # a field beyond the csv module's limit: this is not the delimiter
    return rows if len(rows) <= 1 or len(text) < SAMPLE_BYTES // 4 else rows[:-1]


def _fit(rows: list[list[str]], wanted: list[str]) -> tuple[int, int, int]:
    """How well a delimiter explains the file: wanted names in the header, then rows as wide as it, then width."""
    header = next((row for row in rows if any(cell.strip() for cell in row)), [])
    names = {name.strip() for name in header}
    as_wide = sum(len(row) == len(header) for row in rows) if len(header) > 1 else 0
    return len(names.intersection(wanted)), as_wide, len(header)


def _positions(header: list[str], wanted: list[str]) -> dict[str, int]:
    problems: list[str] = []
    missing = [name for name in wanted if name not in header]
    if missing:
        present = ", ".join(f"'{name}'" for name in header[:50])
        problems.append(f"The CSV has no column {_listed(missing)}; its columns are {present}.")
    for name in wanted:
        at = [str(position + 1) for position, other in enumerate(header) if other == name]
        if len(at) > 1:
            problems.append(f"The column name '{name}' stands at columns {' and '.join(at)}: rename all but one.")
    if problems:
        raise Refused(" ".join(dict.fromkeys(problems)))
    return {name: header.index(name) for name in wanted}


def _listed(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in dict.fromkeys(names))


def _has_decimal_comma(cells: list[str]) -> bool:
    commas = sum(bool(_COMMA.fullmatch(cell.strip())) for cell in cells)
    points = sum(bool(_POINT.fullmatch(cell.strip())) for cell in cells)
    return commas > points
