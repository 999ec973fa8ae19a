"""Trained models on this instance's disk, for the child that predicts with them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from azure.core.exceptions import ResourceNotFoundError

from core.base.blobs import read_blob
from core.base.clients import Storage
from core.base.errors import NotFound
from core.jobs.job import Job

# Models are small beside datasets; what has not been used for longest goes first.
MOST_FILES = 32


async def model_file(storage: Storage, job: Job) -> Path:
    """The job's final model as a local file, downloaded at its first use. Raises NotFound."""
    folder = storage.settings.work_dir / "models"
    path = folder / f"{job.id}.keras"
    try:
        os.utime(path)
        return path
    except FileNotFoundError:
        pass
    try:
        data = await read_blob(storage.artifacts, job.artifact_path)
    except ResourceNotFoundError:
        raise NotFound("The model of this training has been removed; train again to predict.") from None
    await asyncio.to_thread(_write, path, data)
    return path


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_bytes(data)
    os.replace(part, path)
    files = sorted(path.parent.glob("*.keras"), key=lambda file: file.stat().st_mtime)
    for old in files[:-MOST_FILES]:
        old.unlink(missing_ok=True)
