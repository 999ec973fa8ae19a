"""Trained models on this instance's disk, for the child that predicts with them."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from weakref import WeakValueDictionary

from azure.core.exceptions import ResourceNotFoundError

from core.base.blobs import download_file
from core.base.clients import Storage
from core.base.errors import NotFound
from core.base.settings import MIB
from core.jobs.job import Job

# A file holds the weights and, of most optimizers, two numbers more for each: of models that fit into the memory for
# predictions all fit here. What has not been used for longest goes first.
_DISK_FACTOR = 4


async def model_file(storage: Storage, job: Job) -> Path:
    """The job's final model as a local file, downloaded at its first use. Raises NotFound."""
    if job.files_removed_at:
        # This instance may still have a copy, another has none: both say the same.
        raise _removed()
    folder = storage.settings.work_dir / "models"
    path = folder / f"{job.id}.keras"
    try:
        # The time of its last use only: by that of its last change the child knows that it has loaded this file.
        os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
        return path
    except FileNotFoundError:
        pass
    folder.mkdir(parents=True, exist_ok=True)
    # Whoever asks meanwhile waits: another download would be another file, and the model loaded once more.
    async with _downloads.setdefault(str(path), asyncio.Lock()):
        if path.exists():
            return path
        try:
            await download_file(storage.artifacts.get_blob_client(job.artifact_path), path)
        except ResourceNotFoundError:
            raise _removed() from None
        await asyncio.to_thread(_make_room, path, storage.settings.predict_memory_mb * MIB * _DISK_FACTOR)
    return path


_downloads: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()


def _make_room(newest: Path, most_bytes: int) -> None:
    """Delete the files used longest ago until all others beside `newest` take at most `most_bytes`."""
    files = [(file.stat(), file) for file in newest.parent.glob("*.keras") if file != newest]
    taken = newest.stat().st_size + sum(status.st_size for status, _ in files)
    for status, file in sorted(files, key=lambda pair: pair[0].st_atime_ns):
        if taken <= most_bytes:
            return
        file.unlink(missing_ok=True)
        taken -= status.st_size


def _removed() -> NotFound:
    return NotFound("The model of this training has been removed; train again to predict.")
