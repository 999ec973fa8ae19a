"""The folder of a job on this instance."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from core.base.clients import Storage, connect
from core.base.errors import BadRequest
from core.base.settings import Settings
from core.jobs.job import Job
from core.training.work import WorkFolder, discard_abandoned, fetch_dataset


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
    discard_abandoned(tmp_path)
    assert not left.path.exists()
    assert at_work.path.exists()
    assert models.exists()


async def test_a_dataset_that_the_disk_cannot_hold_is_refused_before_it_is_fetched(tmp_path: Path) -> None:
    unreachable = "UseDevelopmentStorage=true"
    settings = Settings.model_validate({"AzureWebJobsStorage": unreachable, "WORK_DIR": str(tmp_path)})
    storage: Storage = connect(settings)
    job = Job("o", "j", "g", {}, "", "", dataset_path="o/j/source.csv", dataset_size=10**16)
    with pytest.raises(BadRequest, match="GB are free"):
        await fetch_dataset(storage, job, WorkFolder(tmp_path, job.id))
    await storage.close()
