"""A dataset has arrived, says the upload event or the canvas: look at it, then start its job once."""

from __future__ import annotations

from dataclasses import replace

from core.base import telemetry
from core.base.blobs import delete_blob
from core.base.clients import Storage
from core.base.errors import NotFound, TooMany
from core.jobs.job import Job
from core.jobs.start import Orchestrations, start_once
from core.jobs.states import Status
from core.jobs.store import JobStore
from core.uploads.landing import UploadRefused, inspect

DATASET = "source.csv"


def dataset_name(owner: str, job_id: str) -> str:
    """The blob of a job's dataset; the blob trigger's path reads owner and job back from it."""
    return f"{owner}/{job_id}/{DATASET}"


async def dataset_arrived(storage: Storage, orchestrations: Orchestrations, job: Job) -> Job:
    """Start the job if its dataset is there and may be used; the job as it stands then.

    A dataset that may not be used fails the job and is deleted. Raises NothingUploaded, and TooMany where the
    owner runs as many trainings as allowed: then the job stays queued.
    """
    if job.status is not Status.QUEUED:
        return job
    store = JobStore(storage)
    try:
        dataset = await inspect(storage, job.dataset_path)
    except UploadRefused as refusal:
        error = refusal.sentence
        telemetry.record("uploads.rejected", 1, reason=refusal.reason)
        failed = await store.change(job.owner, job.id, lambda current: _failed(current, error))
        # A crash here leaves the blob of a failed job; its event comes again and deletes it.
        await delete_blob(storage.uploads, job.dataset_path)
        return failed
    return await start_once(store, orchestrations, job, dataset)


async def start_if_room(storage: Storage, orchestrations: Orchestrations, job: Job) -> Job:
    """As `dataset_arrived`, for those who call again later: no room is no error, the job just stays queued."""
    try:
        return await dataset_arrived(storage, orchestrations, job)
    except TooMany:
        return job


def _failed(job: Job, error: str) -> Job | None:
    return replace(job, status=Status.FAILED, error=error) if job.status is Status.QUEUED else None


async def on_upload(storage: Storage, orchestrations: Orchestrations, owner: str, job_id: str) -> None:
    """What an upload event leads to; it may come late, more than once, or for a job that has ended."""
    try:
        job = await JobStore(storage).get(owner, job_id)
    except NotFound:
        await delete_blob(storage.uploads, dataset_name(owner, job_id))
        return
    if job.ended and not job.claim:
        await delete_blob(storage.uploads, job.dataset_path)
        return
    await start_if_room(storage, orchestrations, job)
