"""The artifacts of a training: which there are, and links to save them."""

from __future__ import annotations

from core.base.clients import Storage
from core.base.errors import NotFound
from core.jobs.job import Job
from core.jobs.states import Status
from core.serving.exports import export_stored
from core.training.results import ARTIFACTS, EXPORTS
from core.uploads.sas import download_url


async def artifact_url(storage: Storage, job: Job, kind: str) -> str:
    """A time-limited link that saves the artifact under its name. Raises NotFound if there is none."""
    artifact = _TYPES.get(kind)
    if artifact is None:
        raise NotFound(f"There is no artifact type '{kind}'; there are {', '.join(_TYPES)}.")
    if job.files_removed_at:
        raise NotFound(
            f"The files of this training were removed on {job.files_removed_at[:10]}; train again for new ones."
        )
    name = f"{job.folder}/{artifact.file}"
    if job.status is not Status.SUCCEEDED or not await _stored(storage, job, kind, name):
        # A link that leads nowhere would show a person an XML error of the storage service.
        raise NotFound(f"This training has no '{kind}' artifact.")
    signed = await download_url(storage, name, artifact.download_name(job.id), artifact.content_type)
    return signed.url


async def _stored(storage: Storage, job: Job, kind: str, name: str) -> bool:
    if kind in EXPORTS:
        return await export_stored(storage, job, kind)
    return await storage.artifacts.get_blob_client(name).exists()


_TYPES = {**ARTIFACTS, **EXPORTS}
