"""A folder for one reading of one model file: made for it, and gone after it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

# Reading takes a minute at most; what is older was left by a process that was killed.
_ABANDONED_SECONDS = 3600


@asynccontextmanager
async def work_folder(root: Path) -> AsyncIterator[Path]:
    """An empty folder below `root`, removed with all that is in it at the end."""
    folder = await asyncio.to_thread(_made, root)
    try:
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def discard_abandoned(root: Path, at: float) -> int:
    """Delete folders that killed processes left below `root`, as it is `at` (Unix seconds): how many they were."""
    discarded = 0
    for left in (root / "imports").glob("*"):
        with suppress(FileNotFoundError):
            if at - left.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
                discarded += 1
    return discarded


def _made(root: Path) -> Path:
    discard_abandoned(root, time.time())
    parent = root / "imports"
    parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=parent))
