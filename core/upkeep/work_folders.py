"""Files below WORK_DIR that killed processes left, on the instance where the timer happens to run.

On other instances trainings and imports clear up for themselves as they begin.
"""

from __future__ import annotations

import asyncio

from core.importing import work as imports
from core.training import work as trainings
from core.upkeep.turn import Turn


async def clear_work_folders(turn: Turn) -> None:
    root, at = turn.storage.settings.work_dir, turn.at.timestamp()
    turn.count("folders of trainings", await asyncio.to_thread(trainings.discard_abandoned, root, at))
    turn.count("folders of imports", await asyncio.to_thread(imports.discard_abandoned, root, at))
