"""What is left below WORK_DIR."""

from __future__ import annotations

import os

from core.training.work import WorkFolder
from core.upkeep.work_folders import clear_work_folders
from tests.unit.upkeep.conftest import LATER, World


async def test_what_killed_processes_left_goes_and_what_is_at_work_or_kept_stays(world: World) -> None:
    root = world.clients.settings.work_dir
    left, held, fresh = (WorkFolder(root, name) for name in ("left", "held", "fresh"))
    for folder in (left, held, fresh):
        folder.checkpoints.mkdir(parents=True)
    for name in ("left", "fresh"):
        (root / "imports" / name).mkdir(parents=True)
        (root / "batches" / name).mkdir(parents=True)
    models = root / "models"
    models.mkdir()
    for name in ("kept.keras", "left.keras.0f.part", "fresh.keras.1a.part"):
        (models / name).write_bytes(b"x")
    now = LATER.timestamp()
    others = (root / "imports" / "fresh", root / "batches" / "fresh", models / "fresh.keras.1a.part")
    for path in (fresh.checkpoints, fresh.path, *others):
        os.utime(path, (now, now))

    async with held.lock():
        counts = await world.turn(clear_work_folders)
    assert set(counts.values()) == {1}
    assert counts.keys() == {"folders of trainings", "folders of imports", "folders of batches", "torn downloads"}
    assert {path.name for path in (root / "jobs").iterdir()} == {"held", "fresh"}
    assert {path.name for path in (root / "imports").iterdir()} == {"fresh"}
    assert {path.name for path in (root / "batches").iterdir()} == {"fresh"}
    assert {path.name for path in models.iterdir()} == {"kept.keras", "fresh.keras.1a.part"}
