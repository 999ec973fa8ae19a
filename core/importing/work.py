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
    parent = root / "imports"
    folder = await asyncio.to_thread(_made, parent)
    try:
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _made(parent: Path) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.iterdir():
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(dir=parent))
