"""The one way an export of a trained model starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from core.base.clients import Storage
from core.base.clock import now, timestamp
from core.jobs.exports import Export, Outcome
from core.jobs.job import Job
from core.jobs.start import DurableOrchestrations, RunState, Startable, start_claimed
from core.jobs.store import JobStore
from core.training.results import EXPORTS

ORCHESTRATION = "export_model"


class ExportOrchestrations(DurableOrchestrations):
    """An orchestration that has ended writes so into the row before; one that could not is no reason to wait."""

    def __init__(self, client: Any) -> None:
        super().__init__(client, ORCHESTRATION)

    async def exists(self, job: Startable) -> bool:
        return await self.state(job) is RunState.ALIVE


async def export_stored(storage: Storage, job: Job, kind: str) -> bool:
    """Whether the exported file is there to be downloaded."""
    if job.export(kind).outcome is not Outcome.READY:
        return False
    return await storage.artifacts.get_blob_client(f"{job.folder}/{EXPORTS[kind].file}").exists()


async def export_once(storage: Storage, orchestrations: ExportOrchestrations, job: Job, kind: str) -> Export:
    """Start the export unless it is there or under way; how it stands then.

    One that has failed since `job` was read is not started again: whoever sees the failure may ask anew.
    """
    if await export_stored(storage, job, kind):
        return job.export(kind)
    store, seen = JobStore(storage), job.export(kind)

    def claimable(export: Export) -> Export:
        """Free again if it is what was seen: failed, or ready with its file removed since."""
        return export.again() if not seen.queued and export.attempt == seen.attempt else export

    async def change(mutate: Callable[[Export], Export | None]) -> Export:
        def on_job(current: Job) -> Job | None:
            wanted = mutate(claimable(current.export(kind)))
            return None if wanted is None else current.with_export(wanted)

        return (await store.change(job.owner, job.id, on_job)).export(kind)

    return await start_claimed(change, orchestrations, _claimed)


def _claimed(export: Export, claim: str) -> Export:
    return replace(export, claim=claim, claimed_at=timestamp(now()), attempt=export.attempt + 1)
