"""The folder of a job on this instance: files that can always be made again from Blob Storage."""

from __future__ import annotations

import asyncio
import shutil
import time
from contextlib import suppress
from pathlib import Path
from weakref import WeakValueDictionary

from azure.core import MatchConditions
from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError

from core.base.blobs import download_file
from core.base.clients import Storage
from core.base.disk import free_bytes, need_room
from core.base.errors import BadRequest
from core.jobs.job import Job

# The CSV, its float32 copy and a few checkpoints; what a prepared dataset needs was never above this.
_DISK_FACTOR = 3
_DISK_RESERVE = 256 * 1024 * 1024

# A slice that waits long for its turn finds its dataset again in Blob Storage.
_ABANDONED_SECONDS = 6 * 3600
# Where the disk is small, a folder makes room for another job once its child, with all it holds open, is gone.
_IDLE_SECONDS = 600


def disk_needed(dataset_bytes: int) -> int:
    """Bytes of temporary disk that training on a dataset of this size takes."""
    return dataset_bytes * _DISK_FACTOR + _DISK_RESERVE


class WorkFolder:
    """`path` holds `source.csv`, where asked for `initial_weights.bin`, and the child's `data/`, `checkpoints/` and
    `artifacts/`."""

    def __init__(self, root: Path, job_id: str) -> None:
        self.path = root / "jobs" / job_id
        self.dataset = self.path / "source.csv"
        self.initial_weights = self.path / "initial_weights.bin"
        self.checkpoints = self.path / "checkpoints"
        self.artifacts = self.path / "artifacts"

    @property
    def prepared(self) -> bool:
        return (self.path / "data" / "manifest.json").exists()

    def lock(self) -> asyncio.Lock:
        """Held while an activity works here: an activity that runs twice must not mix its files."""
        return _locks.setdefault(str(self.path), asyncio.Lock())

    async def discard(self) -> None:
        await asyncio.to_thread(shutil.rmtree, self.path, ignore_errors=True)


def discard_abandoned(root: Path, at: float) -> int:
    """Delete the folders of jobs that have gone on elsewhere, as it is `at` (Unix seconds): how many they were.

    A folder at work changes at least once a minute.
    """
    abandoned = [path for path, idle in _idle_folders(root, at) if idle > _ABANDONED_SECONDS]
    for path in abandoned:
        shutil.rmtree(path, ignore_errors=True)
    return len(abandoned)


def make_room(root: Path, needed: int) -> None:
    """Delete idle folders of other jobs, the longest idle first, until `needed` bytes are free or none is left."""
    for path, idle in sorted(_idle_folders(root, time.time()), key=lambda folder: -folder[1]):
        if free_bytes(root) >= needed:
            return
        if idle > _IDLE_SECONDS:
            shutil.rmtree(path, ignore_errors=True)


def _idle_folders(root: Path, at: float) -> list[tuple[Path, float]]:
    """The folders in which no activity of this process works, and for how many seconds each has not changed."""
    found: list[tuple[Path, float]] = []
    for path in (root / "jobs").glob("*"):
        lock = _locks.get(str(path))
        if lock is None or not lock.locked():
            with suppress(FileNotFoundError):
                changed = max(entry.stat().st_mtime for entry in (path, *path.iterdir()))
                found.append((path, at - changed))
    return found


_locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()


async def fetch_dataset(storage: Storage, job: Job, work: WorkFolder) -> None:
    """Download the dataset, in the version pinned when the job started, unless it is there already.

    Raises BadRequest if that version is gone, NoRoom if the disk is too small.
    """
    if work.dataset.exists():
        return
    await asyncio.to_thread(discard_abandoned, storage.settings.work_dir, time.time())
    work.path.mkdir(parents=True, exist_ok=True)
    needed = disk_needed(job.dataset_size)
    await asyncio.to_thread(make_room, storage.settings.work_dir, needed)
    need_room(work.path, needed, "This dataset")
    blob = storage.uploads.get_blob_client(job.dataset_path)
    pinned = {"etag": job.dataset_etag, "match_condition": MatchConditions.IfNotModified}
    try:
        await download_file(blob, work.dataset, **pinned)
    except (ResourceModifiedError, ResourceNotFoundError):
        raise BadRequest(
            "The uploaded dataset was changed or removed after the job had started; make a new job and upload it again."
        ) from None
