"""One training in the hands of one activity: files from Blob Storage to the child, its news to the
job's row, its files back to Blob Storage.

Every step may run twice, or again after a crash at any line. So each takes the job over by a
conditional write, does work that comes out the same each time, and ends with one conditional write.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from core.base import telemetry
from core.base.blobs import delete_blob, upload_file
from core.base.clients import Storage
from core.base.clock import new_id, now, timestamp
from core.base.errors import BadRequest
from core.jobs.job import Job
from core.jobs.states import Status
from core.jobs.store import JobStore
from core.keras_worker.child import Child
from core.keras_worker.errors import ChildDied, ChildOutOfMemory, ChildTimedOut
from core.keras_worker.pool import ChildPool
from core.training.checkpoints import Checkpoints
from core.training.graph_copy import read_graph
from core.training.initial_weights import discard_weights, fetch_weights
from core.training.progress import Progress, Verdict, verdict_on
from core.training.results import ARTIFACTS, final_result, live_weights, partial_result
from core.training.work import WorkFolder, fetch_dataset

log = logging.getLogger(__name__)

# A child that dies is started again at its last checkpoint; one that dies so often in one activity
# would go on dying.
MOST_DEATHS = 3

# A cancelled slice ends between two batches and hands over its history; one that is longer at a batch, or
# at tracing a large network, is killed and leaves the history of the slice before.
CANCEL_SECONDS = 5.0

# A slice ends between two batches. One that is so much late hangs.
LATE_SECONDS = 120.0


# For the Portal; a training that failed has a sentence of its own.
_ENDS = {
    Status.SUCCEEDED: "The training has succeeded",
    Status.FAILED: "The training has failed",
    Status.CANCELLED: "The training was cancelled",
}


@dataclass(frozen=True)
class Step:
    """What an activity returns; small, since it stays in the orchestration's history.

    `outcome` is "continue" (another slice), "done" (evaluate now), or how the job ended; `status` is a
    sentence for the Portal.
    """

    outcome: str
    status: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


class Run:
    """The steps of one job's training on this instance."""

    def __init__(self, storage: Storage, pool: ChildPool, owner: str, job_id: str) -> None:
        self._storage = storage
        self._store = JobStore(storage)
        self._pool = pool
        self._owner = owner
        self._job_id = job_id
        self._runner = new_id()
        self._work = WorkFolder(storage.settings.work_dir, job_id)

    async def prepare(self) -> Step:
        """Check and convert the dataset, and build the network once to see that the two fit."""
        return await self._as_runner("Reading the dataset", self._prepare)

    async def slice(self) -> Step:
        """Train for `TRAINING_SLICE_SECONDS`, or until the last epoch."""
        return await self._as_runner("Training", self._slice, slices=1)

    async def finish(self) -> Step:
        """Evaluate, store the artifacts, and end the job."""
        return await self._as_runner("Evaluating", self._finish)

    async def fail(self, error: str) -> Step:
        """End the job as failed, with its results so far, unless it has ended already."""

        def failed(job: Job) -> Job | None:
            return None if job.ended else replace(job, status=Status.FAILED, error=error, runner="")

        return await self._close(await self._store.change(self._owner, self._job_id, failed))

    async def _as_runner(self, stage: str, work: Callable[[Job], Awaitable[Step]], slices: int = 0) -> Step:
        first = False

        def taken(job: Job) -> Job | None:
            nonlocal first
            first = job.queued
            if job.ended:
                return None
            # The canvas reads `live` only; the stage stands beside it for whoever wants to know.
            live = {**job.live, "stage": stage}
            started = job.started_at or timestamp(now())
            return replace(
                job,
                status=Status.RUNNING,
                runner=self._runner,
                live=live,
                started_at=started,
                slices=job.slices + slices,
            )

        job = await self._store.change(self._owner, self._job_id, taken)
        if first and not job.ended:
            telemetry.record("jobs.queue.duration", _seconds_since(job.created_at), kind="training")
        began = time.monotonic()
        with (
            telemetry.bound(slice=str(job.slices), trace=job.trace[3:35]),
            telemetry.span(f"training: {stage.lower()}", job.trace, job=job.id, owner=job.owner, slice=job.slices),
        ):
            step = await self._worked_on(job, work)
            log.info("%s: %s", stage, step.status)
        took = time.monotonic() - began
        telemetry.record("training.activity.duration", took, stage=stage, outcome=step.outcome)
        return step

    async def _worked_on(self, job: Job, work: Callable[[Job], Awaitable[Step]]) -> Step:
        async with self._work.lock():
            deaths = 0
            while True:
                verdict = verdict_on(job, self._runner)
                if verdict is not Verdict.GO_ON:
                    return await self._stop(job, verdict)
                try:
                    return await work(job)
                except ChildOutOfMemory:
                    raise
                except (ChildDied, ChildTimedOut):
                    deaths += 1
                    if deaths == MOST_DEATHS:
                        raise
                    job = await self._store.get(self._owner, self._job_id)

    async def _prepare(self, job: Job) -> Step:
        progress = Progress(self._store, job)
        async with self._pool.child("tensorflow", key=job.id) as child:
            prepared = await self._prepared(child, job, progress)
        if prepared is None:
            return await self._stop(job, progress.verdict)
        result, live = partial_result(prepared, {}), live_weights(prepared)
        return await self._leave(job, result, Step("continue", _readiness(prepared)), 0.05, live)

    async def _prepared(self, child: Child, job: Job, progress: Progress) -> dict[str, Any] | None:
        """What the child says of the dataset; None if the row said to stop."""
        left = self._seconds_left(job)
        await fetch_dataset(self._storage, job, self._work)
        await fetch_weights(self._storage, job, self._work)
        chosen = self._storage.settings
        limits = {"rows": chosen.max_rows, "parameters": chosen.max_parameters}
        arguments = {"csv": str(self._work.dataset), "limits": limits, **await self._arguments(job)}
        return await _call(child, "prepare", arguments, progress, patience=0, limit=left)

    async def _slice(self, job: Job) -> Step:
        seconds = min(self._storage.settings.training_slice_seconds, self._seconds_left(job))
        progress = Progress(self._store, job)
        checkpoints = Checkpoints(self._storage, job, self._work)
        known = await self._store.result(job)
        async with self._pool.child("tensorflow", key=job.id) as child:
            if not self._work.prepared and await self._prepared(child, job, progress) is None:
                return await self._stop(job, progress.verdict)
            await checkpoints.restore()
            uploads = asyncio.create_task(checkpoints.upload_regularly())
            before, began = len(known.get("history", {}).get("loss", [])), time.monotonic()
            try:
                trained = await _call(
                    child,
                    "train",
                    {**await self._arguments(job), "seconds": seconds},
                    progress,
                    patience=CANCEL_SECONDS,
                    on_event=checkpoints.on_event,
                    limit=seconds + LATE_SECONDS,
                )
            finally:
                uploads.cancel()
        if trained is None:
            return await self._stop(job, progress.verdict)
        result = partial_result(known, trained["history"])
        epochs = len(trained["history"].get("loss", [])) - before
        telemetry.record("training.epochs.rate", epochs / (time.monotonic() - began))
        if progress.verdict is not Verdict.GO_ON:
            return await self._stop(job, progress.verdict, result)
        await checkpoints.upload()
        step = Step(trained["outcome"], _sentence(trained))
        return await self._leave(job, result, step)

    async def _finish(self, job: Job) -> Step:
        progress = Progress(self._store, job)
        known = await self._store.result(job)
        async with self._pool.child("tensorflow", key=job.id) as child:
            if not self._work.prepared and await self._prepared(child, job, progress) is None:
                return await self._stop(job, progress.verdict)
            await Checkpoints(self._storage, job, self._work).restore()
            finished = await _call(child, "finish", await self._arguments(job), progress, patience=0)
        if finished is None:
            return await self._stop(job, progress.verdict)
        names = await self._store_artifacts(job, finished["artifacts"])
        result = final_result(known, finished, names)
        document, document_name = await self._store.pack_result(job, result)

        def succeeded(current: Job) -> Job | None:
            if verdict_on(current, self._runner) is not Verdict.GO_ON:
                return None
            return replace(
                current,
                status=Status.SUCCEEDED,
                progress=1.0,
                runner="",
                artifact_path=names["final"],
                document=document,
                document_name=document_name,
            )

        job = await self._store.change(self._owner, self._job_id, succeeded)
        if job.ended:
            return await self._close(job)
        return await self._stop(job, verdict_on(job, self._runner))

    def _seconds_left(self, job: Job) -> float:
        """How long the training may still go on. Raises BadRequest if no longer."""
        most = self._storage.settings.max_training_seconds
        left = most - _seconds_since(job.started_at)
        if left <= 0:
            raise BadRequest(
                f"it was not done within the {most:,} seconds that a training may take (MAX_TRAINING_SECONDS); its"
                " history so far is kept. Train fewer epochs, on fewer rows, or a smaller network."
            )
        return left

    async def _arguments(self, job: Job) -> dict[str, Any]:
        return {
            "work": str(self._work.path),
            "graph": await read_graph(self._storage, job),
            "params": job.params,
            "threads": job.threads or self._pool.options.threads,
            "seed": job.params["seed"],
        }

    async def _store_artifacts(self, job: Job, files: dict[str, str]) -> dict[str, str]:
        """Upload the artifacts; their blob names by type. What a crash leaves is written over later."""
        names: dict[str, str] = {}
        for kind, file in files.items():
            names[kind] = f"{job.folder}/{file}"
            path, content_type = self._work.artifacts / file, ARTIFACTS[kind].content_type
            await upload_file(self._storage.artifacts, names[kind], path, content_type)
        return names

    async def _leave(
        self, job: Job, result: dict[str, Any], step: Step, progress: float = 0.0, live: dict[str, Any] | None = None
    ) -> Step:
        """Put the results so far into the row and let go of the job, if it is still ours."""
        document, document_name = await self._store.pack_result(job, result)

        def left(current: Job) -> Job | None:
            if verdict_on(current, self._runner) is not Verdict.GO_ON:
                return None
            return replace(
                current,
                runner="",
                progress=max(current.progress, progress),
                live={**current.live, **(live or {})},
                document=document,
                document_name=document_name,
            )

        job = await self._store.change(self._owner, self._job_id, left)
        if job.runner == "" and not job.ended:
            return step
        return await self._stop(job, verdict_on(job, self._runner), result)

    async def _stop(self, job: Job, verdict: Verdict, result: dict[str, Any] | None = None) -> Step:
        """End as the row demands: as cancelled with the results so far, or without a further word."""
        if verdict is Verdict.SUPERSEDED:
            return Step("continue", "Another instance has taken over")
        if verdict is Verdict.CANCEL:
            document: dict[str, Any] = {}
            if result is not None:
                packed, name = await self._store.pack_result(job, result)
                document = {"document": packed, "document_name": name}

            def cancelled(current: Job) -> Job | None:
                if verdict_on(current, self._runner) is not Verdict.CANCEL:
                    return None
                return replace(current, status=Status.CANCELLED, runner="", **document)

            job = await self._store.change(self._owner, self._job_id, cancelled)
        return await self._close(job)

    async def _close(self, job: Job) -> Step:
        """Let go of everything that an ended job no longer needs; a crash here leaves it to upkeep."""
        if not job.ended:
            return Step("continue", "Another instance has taken over")
        await self._pool.release(job.id)
        await Checkpoints(self._storage, job, self._work).discard()
        await discard_weights(self._storage, job)
        if job.status is not Status.SUCCEEDED:
            for artifact in ARTIFACTS.values():
                await delete_blob(self._storage.artifacts, f"{job.folder}/{artifact.file}")
        await self._work.discard()
        return Step(job.status.value, job.error or _ENDS[job.status])


async def _call(
    child: Child,
    command: str,
    arguments: dict[str, Any],
    progress: Progress,
    *,
    patience: float,
    on_event: Callable[[dict[str, Any]], Awaitable[None]] | None = None,
    limit: float | None = None,
) -> dict[str, Any] | None:
    """Call the child while the job's row is watched.

    When the row says to stop, the command is told and has `patience` seconds to come to its end. Then,
    or at once without patience, the child is killed and None returned.
    """

    async def heard(event: dict[str, Any]) -> None:
        await progress.on_event(event)
        if on_event is not None:
            await on_event(event)

    log.info("job %s: child process %d begins to %s", child.key, child.pid, command)
    call = asyncio.create_task(child.call(command, arguments, heard, limit))
    watch = asyncio.create_task(progress.watch())
    try:
        await asyncio.wait({call, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not call.done() and patience:
            await child.cancel()
            await asyncio.wait({call}, timeout=patience)
        if not call.done():
            return None
        telemetry.record("child.memory", child.memory_bytes(), command=command)
        return await call
    finally:
        # Cancelling a call kills its child. Both are waited for: neither may outlive this activity.
        call.cancel()
        watch.cancel()
        await asyncio.gather(call, watch, return_exceptions=True)


def _seconds_since(at: str) -> float:
    return (now() - datetime.fromisoformat(at)).total_seconds()


def _readiness(prepared: dict[str, Any]) -> str:
    report = prepared.get("initial_weights")
    if report is None:
        return "The dataset is ready"
    return f"The dataset is ready; {len(report['taken'])} layers begin with the import's weights"


def _sentence(trained: dict[str, Any]) -> str:
    losses = trained["history"].get("loss") or [None]
    loss = "" if losses[-1] is None else f", with a loss of {losses[-1]:.4g}"
    return f"Epoch {trained['epoch']} of {trained['epochs']} is reached{loss}"
