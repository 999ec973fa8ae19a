"""Notices edits of the app's files, by their times of change."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

_SUFFIXES = {".py", ".json"}
_IGNORED = {"__pycache__", "node_modules", "site-packages"}
_SECONDS = 0.5


def _snapshot(folder: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    for base, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in _IGNORED and not name.startswith(".")]
        for name in files:
            if Path(name).suffix in _SUFFIXES:
                path = os.path.join(base, name)
                try:
                    found[path] = os.stat(path).st_mtime_ns
                except FileNotFoundError:
                    continue
    return found


async def changes(folder: Path) -> AsyncIterator[None]:
    """Yields once for every burst of edits, when it is over."""
    before = _snapshot(folder)
    while True:
        await asyncio.sleep(_SECONDS)
        now = _snapshot(folder)
        if now == before:
            continue
        while True:
            await asyncio.sleep(_SECONDS)
            later = _snapshot(folder)
            if later == now:
                break
            now = later
        before = now
        yield
