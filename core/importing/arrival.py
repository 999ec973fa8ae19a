"""A model file has arrived, says the upload event or the canvas: look at it, then start its import once."""

from __future__ import annotations

from dataclasses import replace

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobType

from core.base import telemetry
from core.base.blobs import delete_blob
from core.base.clients import Storage
from core.base.errors import AppError, BadRequest, NotFound, NothingUploaded, TooMany
from core.importing.job import ImportJob
from core.importing.start import UploadedModel, start_once
from core.importing.states import ImportStatus
from core.importing.store import ImportStore
from core.jobs.start import Orchestrations


def upload_name(owner: str, job_id: str, filename: str) -> str:
    """The blob of a job's file, of whose name only the extension is kept; its trigger reads owner and job from it."""
    return f"{owner}/{job_id}/{stored_name(filename)}"


def stored_name(filename: str) -> str:
    return f"model.{filename.lower().rpartition('.')[2]}"


async def model_arrived(storage: Storage, orchestrations: Orchestrations, job: ImportJob) -> ImportJob:
    """Start the job if its file is there and may be read; the job as it stands then.

    A file that may not be read fails the job and is deleted. Raises NothingUploaded.
    """
    if job.status is not ImportStatus.QUEUED:
        return job
    store = ImportStore(storage)
    try:
        return await start_once(store, orchestrations, job, await _inspect(storage, job.upload_path))
    except NothingUploaded:
        raise
    except (BadRequest, TooMany) as refusal:
        telemetry.record("uploads.rejected", 1, reason="model file")
        error = f"Import failed: {_sentence(refusal)}"
        failed = await store.change(job.owner, job.id, lambda current: _failed(current, error))
        # A crash here leaves the blob of a failed job; its event comes again and deletes it.
        await delete_blob(storage.imports, job.upload_path)
        return failed


async def on_model(storage: Storage, orchestrations: Orchestrations, owner: str, job_id: str, name: str) -> None:
    """What an upload event leads to; it may come late, more than once, or for a job that has ended."""
    blob = f"{owner}/{job_id}/{name}"
    try:
        job = await ImportStore(storage).get(owner, job_id)
    except NotFound:
        await delete_blob(storage.imports, blob)
        return
    if job.ended:
        await delete_blob(storage.imports, blob)
        return
    await model_arrived(storage, orchestrations, job)


async def _inspect(storage: Storage, name: str) -> UploadedModel:
    """The uploaded blob's ETag and size. Raises NothingUploaded, BadRequest if it may not be read."""
    limit = storage.settings.max_presigned_upload_size
    try:
        properties = await storage.imports.get_blob_client(name).get_blob_properties()
    except ResourceNotFoundError:
        raise NothingUploaded("No file is there yet: PUT it to the upload URL first, then start.") from None
    if properties.blob_type != BlobType.BLOCKBLOB:
        raise BadRequest("The file was not uploaded as a block blob; send the header x-ms-blob-type: BlockBlob.")
    if properties.size == 0:
        raise BadRequest("The uploaded file is empty.")
    if properties.size > limit:
        raise BadRequest(
            f"The uploaded file has {properties.size:,} bytes; at most {limit:,} are accepted"
            " (MAX_PRESIGNED_UPLOAD_SIZE)."
        )
    return UploadedModel(properties.etag, properties.size)


def _sentence(refusal: AppError) -> str:
    return refusal.sentence if isinstance(refusal, BadRequest) else refusal.detail


def _failed(job: ImportJob, error: str) -> ImportJob | None:
    return replace(job, status=ImportStatus.FAILED, error=error) if job.status is ImportStatus.QUEUED else None
