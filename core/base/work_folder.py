"""A folder for one piece of work on this instance: made for it, and gone after it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

# Files in a folder at work are made or replaced every few minutes; one as old as this was left by a process that
# was killed.
_ABANDONED_SECONDS = 3600


@asynccontextmanager
async def work_folder(parent: Path) -> AsyncIterator[Path]:
    """An empty folder in `parent`, removed with all that is in it at the end."""
    folder = await asyncio.to_thread(_made, parent)
    try:
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def discard_abandoned(parent: Path, at: float) -> int:
    """Delete folders that killed processes left in `parent`, as it is `at` (Unix seconds): how many they were."""
    discarded = 0
    for left in parent.glob("*"):
        with suppress(FileNotFoundError):
            if at - left.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
                discarded += 1
    return discarded


def _made(parent: Path) -> Path:
    discard_abandoned(parent, time.time())
    parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=parent))
