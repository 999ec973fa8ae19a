"""The folder of a job on this instance."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from core.base.clients import Storage, connect
from core.base.errors import NoRoom
from core.base.settings import Settings
from core.jobs.job import Job
from core.training import work
from core.training.work import WorkFolder, discard_abandoned, fetch_dataset, make_room


def aged(path: Path, hours: float) -> None:
    moment = time.time() - hours * 3600
    for entry in (*path.iterdir(), path):
        os.utime(entry, (moment, moment))


def test_folders_that_nobody_works_in_go_and_others_stay(tmp_path: Path) -> None:
    left, at_work, models = WorkFolder(tmp_path, "left"), WorkFolder(tmp_path, "at-work"), tmp_path / "models"
    for folder in (left.checkpoints, at_work.checkpoints, models):
        folder.mkdir(parents=True)
    aged(left.path, 7)
    aged(at_work.path, 7)
    (at_work.checkpoints / "000001").mkdir()
    assert discard_abandoned(tmp_path, time.time()) == 1
    assert not left.path.exists()
    assert at_work.path.exists()
    assert models.exists()


async def test_a_folder_that_an_activity_holds_stays_however_old_it_is(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path, "slow")
    work.checkpoints.mkdir(parents=True)
    aged(work.path, 7)
    async with work.lock():
        assert discard_abandoned(tmp_path, time.time()) == 0
    assert discard_abandoned(tmp_path, time.time()) == 1


async def test_a_dataset_that_the_disk_cannot_hold_is_refused_before_it_is_fetched(tmp_path: Path) -> None:
    unreachable = "UseDevelopmentStorage=true"
    settings = Settings.model_validate({"AzureWebJobsStorage": unreachable, "WORK_DIR": str(tmp_path)})
    storage: Storage = connect(settings)
    job = Job("o", "j", "g", {}, "", "", dataset_path="o/j/source.csv", dataset_size=10**16)
    with pytest.raises(NoRoom, match="GB are free"):
        await fetch_dataset(storage, job, WorkFolder(tmp_path, job.id))
    await storage.close()


async def test_on_a_full_disk_idle_folders_make_room_and_no_more_of_them_than_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle = {"fresh": 0.1, "locked": 5, "old": 3, "oldest": 4}
    folders = {name: WorkFolder(tmp_path, name) for name in idle}
    for name, hours in idle.items():
        folders[name].checkpoints.mkdir(parents=True)
        aged(folders[name].path, hours)
    # As if each folder took one byte of a disk of four.
    monkeypatch.setattr(work, "free_bytes", lambda root: 4 - len(list((root / "jobs").iterdir())))
    async with folders["locked"].lock():
        make_room(tmp_path, 1)
        assert sorted(name for name in idle if folders[name].path.exists()) == ["fresh", "locked", "old"]
        make_room(tmp_path, 4)
        assert sorted(name for name in idle if folders[name].path.exists()) == ["fresh", "locked"]
