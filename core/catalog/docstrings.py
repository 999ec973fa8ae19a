"""Google-style docstrings taken apart: a summary, sections, and one text per argument."""

from __future__ import annotations

import re
import textwrap
from typing import Any

_SECTION = re.compile(r"^([A-Z][A-Za-z ]{2,30}):\s*$")
_ARGUMENT = re.compile(r"^\*{0,2}`?(\w+)`?(?:\s*\([^)]*\))?:\s?(.*)$")


def sections(doc: str) -> dict[str, str]:
    """The docstring by headings; what stands before the first one is under ""."""
    found: dict[str, list[str]] = {"": []}
    heading = ""
    for line in doc.splitlines():
        match = _SECTION.match(line)
        if match:
            heading = match.group(1)
            found.setdefault(heading, [])
        else:
            found[heading].append(line)
    return {name: textwrap.dedent("\n".join(lines)).strip("\n") for name, lines in found.items()}


def summary(doc: str) -> str:
    """The first paragraph as one line."""
    return " ".join(doc.strip().split("\n\n", 1)[0].split())


def arguments(doc: str) -> dict[str, str]:
    """One text per argument of the `Args:` section, on one line each.

    An argument begins at the section's own indent; lines that are indented further go on with it.
    """
    block = next((text for name, text in sections(doc).items() if name in ("Args", "Arguments")), "")
    texts: dict[str, list[str]] = {}
    current: list[str] = []
    for line in block.splitlines():
        match = _ARGUMENT.match(line)
        if match:
            current = texts.setdefault(match.group(1), [])
            current.append(match.group(2))
        elif line.startswith((" ", "\t")):
            current.append(line)
    return {name: " ".join(" ".join(lines).split()) for name, lines in texts.items()}


def described_sections(doc: str) -> list[dict[str, Any]]:
    """The named sections as `[{"title", "text"}]`, for a layer's own page."""
    return [{"title": name, "text": text} for name, text in sections(doc).items() if name and text]
