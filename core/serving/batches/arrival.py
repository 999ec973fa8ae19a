"""A CSV to predict has arrived, says the upload event or the canvas: look at it, then start its batch once."""

from __future__ import annotations

from dataclasses import replace

from core.base import telemetry
from core.base.blobs import delete_blob
from core.base.clients import Storage
from core.base.clock import now, timestamp
from core.base.errors import NotFound
from core.jobs.start import Orchestrations, start_claimed
from core.jobs.states import Status
from core.serving.batches.batch import SOURCE, Batch
from core.serving.batches.store import BatchStore
from core.uploads.landing import UploadRefused, inspect

ORCHESTRATION = "predict_batch"


async def rows_arrived(storage: Storage, orchestrations: Orchestrations, batch: Batch) -> Batch:
    """Start the batch if its CSV is there and may be read; the batch as it stands then.

    A file that may not be read fails the batch and is deleted. Raises NothingUploaded.
    """
    if not batch.queued:
        return batch
    store = BatchStore(storage)
    try:
        upload = await inspect(storage, batch.upload_path)
    except UploadRefused as refusal:
        telemetry.record("uploads.rejected", 1, reason=refusal.reason)
        error = f"Prediction failed: {refusal.sentence}"
        failed = await store.change(batch.owner, batch.id, lambda current: _failed(current, error))
        # A crash here leaves the blob of a failed batch; its event comes again and deletes it.
        await delete_blob(storage.uploads, batch.upload_path)
        return failed

    def claimed(current: Batch, claim: str) -> Batch:
        # The first look at the file counts: a later claim never changes what is read.
        pinned = {} if current.upload_etag else {"upload_etag": upload.etag, "upload_size": upload.size}
        return replace(current, claim=claim, claimed_at=timestamp(now()), **pinned)

    return await start_claimed(lambda mutate: store.change(batch.owner, batch.id, mutate), orchestrations, claimed)


async def on_rows(storage: Storage, orchestrations: Orchestrations, owner: str, batch_id: str) -> None:
    """What an upload event leads to; it may come late, more than once, or for a batch that has ended."""
    try:
        batch = await BatchStore(storage).get(owner, batch_id)
    except NotFound:
        await delete_blob(storage.uploads, f"{owner}/{batch_id}/{SOURCE}")
        return
    if batch.ended:
        await delete_blob(storage.uploads, batch.upload_path)
        return
    await rows_arrived(storage, orchestrations, batch)


def _failed(batch: Batch, error: str) -> Batch | None:
    return replace(batch, status=Status.FAILED, error=error) if batch.queued else None
