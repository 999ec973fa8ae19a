"""Trained models on this instance's disk, for the child that predicts with them."""

from __future__ import annotations

import os
from pathlib import Path

from azure.core.exceptions import ResourceNotFoundError

from core.base.blobs import download_file
from core.base.clients import Storage
from core.base.errors import NotFound
from core.jobs.job import Job

# Models are small beside datasets; what has not been used for longest goes first.
MOST_FILES = 32


async def model_file(storage: Storage, job: Job) -> Path:
    """The job's final model as a local file, downloaded at its first use. Raises NotFound."""
    if job.files_removed_at:
        # This instance may still have a copy, another has none: both say the same.
        raise _removed()
    folder = storage.settings.work_dir / "models"
    path = folder / f"{job.id}.keras"
    try:
        os.utime(path)
        return path
    except FileNotFoundError:
        pass
    folder.mkdir(parents=True, exist_ok=True)
    try:
        await download_file(storage.artifacts.get_blob_client(job.artifact_path), path)
    except ResourceNotFoundError:
        raise _removed() from None
    for old in sorted(folder.glob("*.keras"), key=lambda file: file.stat().st_mtime)[:-MOST_FILES]:
        old.unlink(missing_ok=True)
    return path


def _removed() -> NotFound:
    return NotFound("The model of this training has been removed; train again to predict.")
