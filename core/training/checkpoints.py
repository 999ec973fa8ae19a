"""Checkpoints in Blob Storage, so that another instance can go on from where this one was stopped.

The child writes checkpoints into the work folder and announces each; here they are carried to blobs
and back. `latest.json` is the pointer: it is written after all files of a checkpoint, and only then
are the files of the one before deleted, so a crash in between leaves a few blobs too many.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import time
from typing import Any

from azure.core.exceptions import AzureError, ResourceNotFoundError

from core.base import telemetry
from core.base.blobs import delete_blob, download_file, read_blob, upload_file, write_blob
from core.base.clients import Storage
from core.jobs.job import Job
from core.training.work import WorkFolder

log = logging.getLogger(__name__)

# A short training has many checkpoints a second; losing so much of one costs this much time, no more.
UPLOAD_INTERVAL_SECONDS = 10.0

_BYTES = "application/octet-stream"


class Checkpoints:
    """The checkpoints of one job, between its work folder and its blobs."""

    def __init__(self, storage: Storage, job: Job, work: WorkFolder) -> None:
        self._blobs = storage.artifacts
        self._prefix = f"{job.folder}/checkpoints"
        self._pointer = f"{self._prefix}/latest.json"
        self._folder = work.checkpoints
        self._announced = ""
        self._uploaded = ""

    async def on_event(self, event: dict[str, Any]) -> None:
        if event["event"] == "checkpoint":
            self._announced = event["name"]

    async def upload_regularly(self) -> None:
        """Upload the newest announced checkpoint every now and then, until cancelled."""
        while True:
            await asyncio.sleep(UPLOAD_INTERVAL_SECONDS)
            try:
                await self.upload()
            except AzureError as error:
                # Nothing is lost yet: the upload at the end of the slice must succeed, or is retried.
                log.warning("checkpoint %s could not be uploaded: %s", self._announced, type(error).__name__)

    async def upload(self) -> None:
        """Upload the newest announced checkpoint unless that is done."""
        name = self._announced
        if name == self._uploaded:
            return
        began, size = time.monotonic(), 0
        try:
            files = sorted(path.name for path in (self._folder / name).iterdir())
            size = sum((self._folder / name / file).stat().st_size for file in files)
            for file in files:
                await upload_file(self._blobs, self._blob(name, file), self._folder / name / file, _BYTES)
        except FileNotFoundError:
            return  # the child has removed it for a newer one, which it announces next
        before = await self._pointer_blob()
        pointer = json.dumps({"name": name, "files": files}).encode()
        await write_blob(self._blobs, self._pointer, pointer, "application/json")
        self._uploaded = name
        telemetry.record("checkpoint.size", size)
        telemetry.record("checkpoint.upload.duration", time.monotonic() - began)
        if before.get("name") != name:
            await self._delete_files(before)

    async def restore(self) -> None:
        """Bring the uploaded checkpoint into the work folder unless that has one as new.

        Names of checkpoints sort by progress. A job that has moved away and back finds its older ones.
        """
        pointer = await self._pointer_blob()
        name = pointer.get("name", "")
        if not name or any(path.name >= name for path in self._folder.glob("[!.]*")):
            return
        part = self._folder / f".part-{name}"
        await asyncio.to_thread(shutil.rmtree, part, ignore_errors=True)
        part.mkdir(parents=True)
        for file in pointer["files"]:
            await download_file(self._blobs.get_blob_client(self._blob(name, file)), part / file)
        # A whole folder or none: a file missing would pass for damage.
        os.rename(part, self._folder / name)

    async def discard(self) -> None:
        """Delete the job's checkpoint, the pointer first: what a crash leaves is never pointed at."""
        pointer = await self._pointer_blob()
        await delete_blob(self._blobs, self._pointer)
        await self._delete_files(pointer)

    async def _delete_files(self, pointer: dict[str, Any]) -> None:
        for file in pointer.get("files", []):
            await delete_blob(self._blobs, self._blob(pointer["name"], file))

    def _blob(self, name: str, file: str) -> str:
        return f"{self._prefix}/{name}/{file}"

    async def _pointer_blob(self) -> dict[str, Any]:
        try:
            return json.loads(await read_blob(self._blobs, self._pointer))
        except ResourceNotFoundError:
            return {}
