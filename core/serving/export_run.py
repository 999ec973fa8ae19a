"""One export in the hands of one activity: the model from Blob Storage to the child, its file back, the row last.

It may run twice, or again after a crash at any line. So it takes the export over by a conditional write, does work
that comes out the same each time, and ends with one conditional write. A crash before that leaves a file that nobody
is told of; the next run writes over it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from azure.core.exceptions import ResourceNotFoundError

from core.base.blobs import download_file, upload_file
from core.base.clients import Storage
from core.base.clock import new_id
from core.base.errors import NoRoom
from core.jobs.exports import Export, Outcome, parse_id
from core.jobs.job import Job
from core.jobs.store import JobStore
from core.keras_worker.errors import ChildDied, ChildFailed, ChildOutOfMemory, ChildTimedOut, Refused
from core.keras_worker.pool import ChildPool
from core.training.results import ARTIFACTS, EXPORTS
from core.training.work import WorkFolder

log = logging.getLogger(__name__)

# A child that dies at a network so often would go on dying.
_MOST_DEATHS = 3

_OTHER = "Export it in another format."


class ExportFailed(Exception):
    """The export cannot be made; the text is the sentence for the person."""


class ExportRun:
    """The steps of one export on this instance.

    Each returns "ready", "failed", "superseded" (by a later attempt), or "continue" if another run of the same step
    has taken the export over: nobody waits for that one, so the step is to be done again.
    """

    def __init__(self, storage: Storage, pool: ChildPool, owner: str, export_id: str) -> None:
        self._storage = storage
        self._store = JobStore(storage)
        self._pool = pool
        self._owner = owner
        self._export_id = export_id
        self._job_id, self._format, self._attempt = parse_id(export_id)
        self._runner = new_id()

    async def write(self) -> str:
        """Export the model and say that it is ready, or why it cannot be."""
        job = await self._change(lambda export: replace(export, runner=self._runner))
        if job.export(self._format).runner != self._runner:
            return self._outcome(job)
        try:
            details = await self._details(job)
        except ExportFailed as failure:
            return await self._end(outcome=Outcome.FAILED, error=str(failure))
        return await self._end(outcome=Outcome.READY, details=details)

    async def fail(self, reason: str) -> str:
        """End the export as failed, whoever is at work on it, unless it has ended already."""
        failed = {"outcome": Outcome.FAILED, "error": reason, "runner": ""}
        return self._outcome(await self._change(lambda export: replace(export, **failed)))

    async def _end(self, **columns: Any) -> str:
        def ended(export: Export) -> Export | None:
            return replace(export, runner="", **columns) if export.runner == self._runner else None

        return self._outcome(await self._change(ended))

    async def _change(self, mutate: Callable[[Export], Export | None]) -> Job:
        """The job, with its export changed if this attempt is under way."""

        def on_job(job: Job) -> Job | None:
            export = job.export(self._format)
            if not export.queued or export.attempt != self._attempt:
                return None
            wanted = mutate(export)
            return None if wanted is None else job.with_export(wanted)

        return await self._store.change(self._owner, self._job_id, on_job)

    def _outcome(self, job: Job) -> str:
        export = job.export(self._format)
        if export.attempt != self._attempt:
            return "superseded"
        return "continue" if export.queued else export.outcome.value

    async def _details(self, job: Job) -> dict[str, Any]:
        """What the child says of the file, which is stored then. Raises ExportFailed."""
        work = WorkFolder(self._storage.settings.work_dir, self._export_id)
        artifact = EXPORTS[self._format]
        async with work.lock():
            work.path.mkdir(parents=True, exist_ok=True)
            try:
                arguments = {name: str(work.path / ARTIFACTS[kind].file) for name, kind in _INPUTS.items()}
                await self._fetch(job, work)
                output = work.path / artifact.file
                arguments |= {"format": self._format, "output": str(output)}
                arguments["name"] = ARTIFACTS["final"].download_name(job.id)
                details = await self._exported(arguments)
                blob = f"{job.folder}/{artifact.file}"
                await upload_file(self._storage.artifacts, blob, output, artifact.content_type)
            finally:
                await work.discard()
        return details

    async def _fetch(self, job: Job, work: WorkFolder) -> None:
        for kind in _INPUTS.values():
            file = ARTIFACTS[kind].file
            try:
                await download_file(self._storage.artifacts.get_blob_client(f"{job.folder}/{file}"), work.path / file)
            except NoRoom as error:
                raise ExportFailed(error.detail) from None
            except ResourceNotFoundError:
                raise ExportFailed(
                    "The files that an export needs are no longer there; train again to export."
                ) from None

    async def _exported(self, arguments: dict[str, Any]) -> dict[str, Any]:
        seconds = self._storage.settings.export_seconds
        for death in range(1, _MOST_DEATHS + 1):
            try:
                async with self._pool.child("tensorflow") as child:
                    return await child.call("export", arguments, seconds=seconds)
            except Refused as refusal:
                raise ExportFailed(str(refusal)) from None
            except ChildOutOfMemory:
                raise ExportFailed(
                    f"The export needs more memory than one may have (CHILD_MEMORY_MB). {_OTHER}"
                ) from None
            except ChildTimedOut:
                raise ExportFailed(
                    f"The export takes longer than {seconds} seconds (EXPORT_SECONDS). {_OTHER}"
                ) from None
            except ChildFailed as failure:
                log.warning("a network could not be converted: %s\n%s", failure, failure.detail)
                raise ExportFailed(f"The network could not be converted. {_OTHER}") from None
            except ChildDied:
                log.warning("a child died at an export, for the %d. time", death)
        raise ExportFailed(f"The process that converts the network ended unexpectedly several times. {_OTHER}")


# The command's arguments by the artifacts they are.
_INPUTS = {"model": "final", "sample": "sample"}
