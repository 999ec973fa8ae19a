"""A progress bar for a terminal, and plain lines for everything else."""

from __future__ import annotations

import shutil
import time
from types import TracebackType
from typing import TextIO

WIDTH = 24
PLAIN_LINE_SECONDS = 1.0
TO_LINE_START_AND_CLEAR = "\r\x1b[K"


class ProgressBar:
    """Shows the newest state: redrawn in place on a terminal, else a line when it has changed."""

    def __init__(self, out: TextIO):
        self._out = out
        self._in_place = out.isatty()
        self._last = ""
        self._next_line_at = 0.0

    def __enter__(self) -> ProgressBar:
        return self

    def show(self, progress: float, text: str) -> None:
        """`progress` is 0…1; `text` says where that is."""
        filled = round(WIDTH * progress)
        line = f"  [{'#' * filled}{'-' * (WIDTH - filled)}] {progress:4.0%}  {text}"
        if line == self._last:
            return
        if self._in_place:
            columns = shutil.get_terminal_size().columns
            self._out.write(TO_LINE_START_AND_CLEAR + line[: columns - 1])
        elif progress < 1 and time.monotonic() < self._next_line_at:
            return
        else:
            self._out.write(line + "\n")
        self._next_line_at = time.monotonic() + PLAIN_LINE_SECONDS
        self._last = line
        self._out.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._in_place and self._last:
            self._out.write("\n")
            self._out.flush()
