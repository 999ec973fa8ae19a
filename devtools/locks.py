"""A file lock between processes: one set-up at a time, one `start` per data folder."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from devtools import Failure


@contextlib.contextmanager
def locked(file: Path, *, if_taken: str | None = None) -> Iterator[None]:
    """Hold an exclusive lock on `file`; it is released when this process ends, however that happens.

    Without `if_taken` this waits for its turn; with it, a lock held elsewhere is a Failure of that text.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+b") as handle:
        try:
            _lock(handle, wait=if_taken is None)
        except OSError as problem:
            raise Failure(if_taken or f"{file} cannot be locked ({problem}); run it again.") from None
        yield


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: IO[bytes], *, wait: bool) -> None:
        handle.seek(0)
        msvcrt.locking(handle.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(handle: IO[bytes], *, wait: bool) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
