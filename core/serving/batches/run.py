"""One batch in the hands of one activity: ranges of the CSV to the child, its predictions to blocks of the output.

A part of the file is done once its block is staged and the row says so, in this order. A crash in between does the
part again, which changes nothing.
"""

from __future__ import annotations

import time
from dataclasses import replace

from core.base.blobs import delete_blob
from core.base.clients import Storage
from core.base.clock import new_id
from core.base.errors import BadRequest
from core.base.work_folder import work_folder
from core.jobs.states import Status
from core.jobs.store import JobStore
from core.keras_worker.errors import ChildDied, ChildOutOfMemory, ChildTimedOut
from core.keras_worker.pool import ChildPool
from core.serving.batches.batch import Batch
from core.serving.batches.output import Output
from core.serving.batches.parts import Part, Parts
from core.serving.batches.source import Source
from core.serving.batches.store import BatchStore
from core.serving.models import model_file
from core.training.progress import Verdict, verdict_on
from core.training.run import MOST_DEATHS, Step


class BatchRun:
    """The steps of one batch on this instance."""

    def __init__(self, storage: Storage, pool: ChildPool, owner: str, batch_id: str) -> None:
        self._storage = storage
        self._store = BatchStore(storage)
        self._pool = pool
        self._owner = owner
        self._batch_id = batch_id
        self._runner = new_id()

    async def slice(self) -> Step:
        """Predict for `TRAINING_SLICE_SECONDS`, or to the end of the file."""
        ends = time.monotonic() + self._storage.settings.training_slice_seconds

        def taken(batch: Batch) -> Batch | None:
            return None if batch.ended else replace(batch, status=Status.RUNNING, runner=self._runner)

        batch = await self._store.change(self._owner, self._batch_id, taken)
        deaths = 0
        while True:
            verdict = verdict_on(batch, self._runner)
            if verdict is not Verdict.GO_ON:
                return await self._stop(batch, verdict)
            try:
                return await self._predict(batch, ends)
            except ChildOutOfMemory:
                raise
            except (ChildDied, ChildTimedOut):
                deaths += 1
                if deaths == MOST_DEATHS:
                    raise
                batch = await self._store.get(self._owner, self._batch_id)

    async def fail(self, error: str) -> Step:
        """End the batch as failed unless it has ended already."""

        def failed(batch: Batch) -> Batch | None:
            return None if batch.ended else replace(batch, status=Status.FAILED, error=error, runner="")

        return await self._close(await self._store.change(self._owner, self._batch_id, failed))

    async def _predict(self, batch: Batch, ends: float) -> Step:
        job = await JobStore(self._storage).get(batch.owner, batch.job_id)
        model = await model_file(self._storage, job)
        source = Source(self._storage, batch)
        form = await source.form(job.params["x_columns"])
        verdict = Verdict.GO_ON
        async with (
            work_folder(self._storage.settings.batch_folder) as folder,
            self._pool.child("tensorflow", key=batch.id) as child,
        ):
            parts = Parts(self._storage, source, child, folder, model, form)
            while verdict is Verdict.GO_ON and (part := await parts.after(batch)):
                batch = await self._record(part)
                verdict = verdict_on(batch, self._runner)
                if verdict is Verdict.GO_ON and time.monotonic() > ends:
                    return Step("continue", f"{batch.rows:,} rows, {batch.progress:.0%}")
        return await self._finish(batch) if verdict is Verdict.GO_ON else await self._stop(batch, verdict)

    async def _record(self, part: Part) -> Batch:
        def advanced(batch: Batch) -> Batch | None:
            if verdict_on(batch, self._runner) is not Verdict.GO_ON:
                return None
            return replace(batch, offset=part.end, next_row=part.next_row, rows=batch.rows + part.rows)

        return await self._store.change(self._owner, self._batch_id, advanced)

    async def _finish(self, batch: Batch) -> Step:
        if not batch.rows:
            raise BadRequest("The CSV has a header and no rows.")
        await Output(self._storage, batch).commit(batch.offset)

        def succeeded(current: Batch) -> Batch | None:
            if verdict_on(current, self._runner) is not Verdict.GO_ON:
                return None
            return replace(current, status=Status.SUCCEEDED, runner="")

        batch = await self._store.change(self._owner, self._batch_id, succeeded)
        return await self._stop(batch, verdict_on(batch, self._runner))

    async def _stop(self, batch: Batch, verdict: Verdict) -> Step:
        """End as the row demands."""
        if verdict is Verdict.CANCEL:

            def cancelled(current: Batch) -> Batch | None:
                if verdict_on(current, self._runner) is not Verdict.CANCEL:
                    return None
                return replace(current, status=Status.CANCELLED, runner="")

            batch = await self._store.change(self._owner, self._batch_id, cancelled)
        return await self._close(batch)

    async def _close(self, batch: Batch) -> Step:
        """Let go of everything that an ended batch no longer needs; a crash here leaves it to upkeep."""
        if not batch.ended:
            return Step("continue", "Another instance has taken over")
        await self._pool.release(batch.id)
        await delete_blob(self._storage.uploads, batch.upload_path)
        if batch.status is not Status.SUCCEEDED:
            await Output(self._storage, batch).discard()
        return Step(batch.status.value, f"{batch.status.value.capitalize()}{': ' if batch.error else ''}{batch.error}")
