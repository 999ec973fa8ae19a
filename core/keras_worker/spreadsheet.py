"""Cells of a CSV that goes out, so that no spreadsheet takes a text for a formula.

Excel, LibreOffice and Google Sheets run a cell that begins with = + - or @, and some trim what stands before it. An
apostrophe in front makes it a text (OWASP, "CSV Injection"). A number keeps its sign.
"""

import re

# For polars' regular expressions as well, which have no look-around.
FORMULA = r"^\s*[=+\-@]|^[\t\r\n]"
NUMBER = r"^\s*[+-]?([0-9]+[.,]?[0-9]*|[.,][0-9]+)([eE][+-]?[0-9]+)?\s*$"


def as_text(cell: str) -> str:
    """The cell, with an apostrophe before it if a spreadsheet might run it."""
    return f"'{cell}" if re.search(FORMULA, cell) and not re.search(NUMBER, cell) else cell
