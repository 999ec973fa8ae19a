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
from core.base.errors import BadRequest
from core.jobs.job import Job

# The CSV, its float32 copy and a few checkpoints; what a prepared dataset needs was never above this.
_DISK_FACTOR = 3
_DISK_RESERVE = 256 * 1024 * 1024

# A slice that waits long for its turn finds its dataset again in Blob Storage.
_ABANDONED_SECONDS = 6 * 3600


class WorkFolder:
    """`path` holds `source.csv`, and the child's `data/`, `checkpoints/` and `artifacts/`."""

    def __init__(self, root: Path, job_id: str) -> None:
        self.path = root / "jobs" / job_id
        self.dataset = self.path / "source.csv"
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


def discard_abandoned(root: Path) -> None:
    """Delete the folders of jobs that have gone on elsewhere: a folder at work changes at least once a minute."""
    for path in (root / "jobs").glob("*"):
        with suppress(FileNotFoundError):
            changed = max(entry.stat().st_mtime for entry in (path, *path.iterdir()))
            if time.time() - changed > _ABANDONED_SECONDS:
                shutil.rmtree(path, ignore_errors=True)


_locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()


async def fetch_dataset(storage: Storage, job: Job, work: WorkFolder) -> None:
    """Download the dataset, in the version pinned when the job started, unless it is there already.

    Raises BadRequest if that version is gone or the disk is too small.
    """
    if work.dataset.exists():
        return
    await asyncio.to_thread(discard_abandoned, storage.settings.work_dir)
    work.path.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(work.path).free
    needed = job.dataset_size * _DISK_FACTOR + _DISK_RESERVE
    if free < needed:
        raise BadRequest(
            f"This dataset needs about {needed / 1e9:.1f} GB of temporary disk, of which {free / 1e9:.1f} GB are"
            " free; upload a smaller file, or ask the operator for an instance with a larger disk."
        )
    blob = storage.uploads.get_blob_client(job.dataset_path)
    pinned = {"etag": job.dataset_etag, "match_condition": MatchConditions.IfNotModified}
    try:
        await download_file(blob, work.dataset, **pinned)
    except (ResourceModifiedError, ResourceNotFoundError):
        raise BadRequest(
            "The uploaded dataset was changed or removed after the job had started; make a new job and upload it again."
        ) from None
