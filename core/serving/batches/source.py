"""The uploaded CSV of a batch, read range by range, so that a file of any size needs a small disk only."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError

from core.base.blobs import download_file
from core.base.clients import Storage
from core.base.errors import BadRequest
from core.keras_worker.csv_format import SAMPLE_BYTES, CsvFormat, sniff_sample
from core.serving.batches.batch import Batch


class Source:
    """Reads the version of the CSV that was there when the batch started."""

    def __init__(self, storage: Storage, batch: Batch) -> None:
        self._blob = storage.uploads.get_blob_client(batch.upload_path)
        self._size = batch.upload_size
        self._pinned: dict[str, Any] = {"etag": batch.upload_etag, "match_condition": MatchConditions.IfNotModified}

    async def form(self, columns: list[str]) -> CsvFormat:
        """How the CSV is written, by its beginning. Raises Refused if it lacks one of the columns, BadRequest."""
        try:
            downloader = await self._blob.download_blob(0, min(SAMPLE_BYTES, self._size), **self._pinned)
            sample = await downloader.readall()
        except (ResourceModifiedError, ResourceNotFoundError):
            raise _changed() from None
        return await asyncio.to_thread(sniff_sample, sample, columns)

    async def fetch(self, start: int, length: int, path: Path) -> bool:
        """Write `length` bytes from `start` on to `path`: whether the CSV ends with them. Raises BadRequest."""
        end = min(start + length, self._size)
        try:
            await download_file(self._blob, path, offset=start, length=end - start, **self._pinned)
        except (ResourceModifiedError, ResourceNotFoundError):
            raise _changed() from None
        return end == self._size


def _changed() -> BadRequest:
    return BadRequest("The uploaded CSV was changed or removed after the batch had started; make a new one.")
