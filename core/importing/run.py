"""One import in the hands of one activity: the file from Blob Storage to the reader, its graph into the job's row.

It may run twice, or again after a crash at any line. So it takes the job over by a conditional write, does
work that comes out the same each time, and ends with one conditional write; then it deletes the upload.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError

from core.base.blobs import delete_blob, download_file, upload_file
from core.base.clients import Storage
from core.base.clock import new_id, now, timestamp
from core.base.disk import need_room
from core.base.errors import BadRequest, NoRoom, TooLarge
from core.base.work_folder import work_folder
from core.importing.graph import make_graph
from core.importing.job import ImportJob
from core.importing.reader import ModelReader, ReadModel
from core.importing.states import ImportStatus
from core.importing.store import ImportStore


class ImportRun:
    """The steps of one import on this instance; each returns the job's status, or "superseded"."""

    def __init__(self, storage: Storage, reader: ModelReader, owner: str, job_id: str) -> None:
        self._storage = storage
        self._store = ImportStore(storage)
        self._reader = reader
        self._owner = owner
        self._job_id = job_id
        self._runner = new_id()

    async def read(self) -> str:
        """Read the file and end the job: with its graph, or with what is wrong with the file."""
        job = await self._store.change(self._owner, self._job_id, self._taken)
        if job.runner != self._runner:
            return await self._close(job)
        try:
            payload, columns = await self._read(job)
        except (TooLarge, NoRoom) as error:
            return await self._fail(error.detail, self._runner)
        except BadRequest as error:
            return await self._fail(error.sentence.removeprefix("model: "), self._runner)
        # A crash after this leaves a graph that the next run finds under the same id.
        graph = (await make_graph(self._storage, job, payload))[0] if job.auto_create_graph else None
        columns |= await self._store.pack_payload(job, payload)
        if graph is not None:
            columns["graph_id"] = graph.id
        return await self._close(await self._store.change(job.owner, job.id, lambda it: self._succeeded(it, columns)))

    async def fail(self, reason: str) -> str:
        """End the job as failed, whoever is at work on it, unless it has ended already."""
        return await self._fail(reason)

    async def _fail(self, reason: str, runner: str = "") -> str:
        """End the job as failed; where a `runner` is named, only while the job is in its hands."""
        error = f"Import failed: {reason}"

        def failed(job: ImportJob) -> ImportJob | None:
            if job.ended or (runner and job.runner != runner):
                return None
            return replace(job, status=ImportStatus.FAILED, error=error, runner="")

        return await self._close(await self._store.change(self._owner, self._job_id, failed))

    def _taken(self, job: ImportJob) -> ImportJob | None:
        if job.ended:
            return None
        started = job.started_at or timestamp(now())
        return replace(job, status=ImportStatus.PROCESSING, runner=self._runner, started_at=started)

    def _succeeded(self, job: ImportJob, columns: dict[str, Any]) -> ImportJob | None:
        if job.ended or job.runner != self._runner:
            return None
        return replace(job, status=ImportStatus.SUCCEEDED, runner="", **columns)

    async def _read(self, job: ImportJob) -> tuple[dict[str, Any], dict[str, Any]]:
        """The graph in the file, and the job's columns about the weights, which are stored then."""
        blob = self._storage.imports.get_blob_client(job.upload_path)
        pinned = {"etag": job.upload_etag, "match_condition": MatchConditions.IfNotModified}
        async with work_folder(self._storage.settings.import_folder) as folder:
            file = folder / job.upload_path.rsplit("/", 1)[-1]
            # The child may unpack it beside itself, up to its limit.
            need_room(folder, job.upload_size + self._storage.settings.max_zip_extracted_bytes, "This file")
            try:
                await download_file(blob, file, **pinned)
            except (ResourceModifiedError, ResourceNotFoundError):
                raise BadRequest(
                    "The uploaded file was changed or removed after the import had started; upload it again."
                ) from None
            read = await self._reader.read(job.owner, file, job.source_name, job.graph_name)
            return read.payload, await self._store_weights(job, read)

    async def _store_weights(self, job: ImportJob, read: ReadModel) -> dict[str, Any]:
        """Two activities at work on one job write the same blob. A crash leaves it to the next run, or to upkeep."""
        if read.weights is None:
            return {"weights_note": read.note}
        await upload_file(self._storage.artifacts, job.weights_blob, read.weights, "application/octet-stream")
        return {
            "weights_name": job.weights_blob,
            "weights_layers": read.layers,
            "weights_parameters": read.parameters,
            "weights_note": read.note,
        }

    async def _close(self, job: ImportJob) -> str:
        """Delete the upload of an ended job; a crash before that is made good by its event or by upkeep."""
        if not job.ended:
            return "superseded"
        await delete_blob(self._storage.imports, job.upload_path)
        if not job.weights_name:
            await delete_blob(self._storage.artifacts, job.weights_blob)
        return job.status.value
