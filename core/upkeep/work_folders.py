"""Files below WORK_DIR that killed processes left, on the instance where the timer happens to run.

On other instances trainings, imports and batches clear up for themselves as they begin.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from core.base.work_folder import discard_abandoned
from core.training import work as trainings
from core.upkeep.turn import Turn

# No download takes so long.
_TORN_SECONDS = 6 * 3600


async def clear_work_folders(turn: Turn) -> None:
    """Models that are kept for predictions make room for each other; of them only torn downloads go."""
    settings, at = turn.storage.settings, turn.at.timestamp()
    turn.count("folders of trainings", await asyncio.to_thread(trainings.discard_abandoned, settings.work_dir, at))
    turn.count("folders of imports", await asyncio.to_thread(discard_abandoned, settings.import_folder, at))
    turn.count("folders of batches", await asyncio.to_thread(discard_abandoned, settings.batch_folder, at))
    turn.count("torn downloads", await asyncio.to_thread(_discard_torn, settings.work_dir / "models", at))


def _discard_torn(folder: Path, at: float) -> int:
    discarded = 0
    for part in folder.glob("*.part"):
        with suppress(FileNotFoundError):
            if at - part.stat().st_mtime > _TORN_SECONDS:
                part.unlink()
                discarded += 1
    return discarded
