"""The temporary disk of this instance, which on serverless plans is small: 0.8 GB on Flex Consumption."""

from __future__ import annotations

import shutil
from pathlib import Path

from core.base.errors import NoRoom


def free_bytes(folder: Path) -> int:
    """What is free on the disk of this folder, which must exist."""
    return shutil.disk_usage(folder).free


def need_room(folder: Path, needed: int, what: str) -> None:
    """Raises NoRoom, which names `what` and the bytes it lacks, unless so many are free."""
    free = free_bytes(folder)
    if free < needed:
        raise NoRoom(
            f"{what} needs about {needed / 1e9:.2f} GB of temporary disk, of which {free / 1e9:.2f} GB are free;"
            " use a smaller file, or ask the operator for an instance with a larger disk."
        )
