"""The weights that a training begins with: those of an import of the same user.

They are copied into the job's own folder when the job is made, before its row. So whatever happens to the import
afterwards, the training finds what it was made with, also when it is tried again.
"""

from __future__ import annotations

from azure.core.exceptions import ResourceNotFoundError

from core.base.blobs import copy_blob, delete_blob, download_file
from core.base.clients import Storage
from core.base.errors import BadRequest, NotFound
from core.graphs.checked import CheckedGraph
from core.importing.job import ImportJob
from core.importing.states import ENDED, ImportStatus
from core.importing.store import ImportStore
from core.jobs.job import Job
from core.training.weight_sources import mark_sources
from core.training.work import WorkFolder

_FIELD = "initial_weights"


async def find_import(storage: Storage, owner: str, import_id: str) -> ImportJob:
    """The import whose weights are asked for. Raises BadRequest if it is not there, not the owner's, or has none."""
    try:
        found = await ImportStore(storage).get(owner, import_id)
    except NotFound:
        raise _refused("There is no import with that id.") from None
    if found.status not in ENDED:
        raise _refused(f"That import is {found.status.value}; wait until it has succeeded.")
    if found.status is not ImportStatus.SUCCEEDED:
        raise _refused(f"That import has {found.status.value}; its weights cannot be used.")
    if found.files_removed_at:
        raise _refused(f"The weights were removed on {found.files_removed_at[:10]}; import the file again.")
    if not found.weights_name:
        raise _refused(f"There are no weights to begin with. {found.weights_note}")
    return found


async def take_over(storage: Storage, job: Job, source: ImportJob, checked: CheckedGraph) -> CheckedGraph:
    """Copy the weights to the job, and say in its graph which layer takes which. Raises BadRequest."""
    payload = await ImportStore(storage).payload(source)
    if payload is None:
        raise _refused(_GONE)
    try:
        await copy_blob(storage.artifacts, source.weights_name, _name(job))
    except ResourceNotFoundError:
        raise _refused(_GONE) from None
    return mark_sources(checked, payload["nodes"])


async def fetch_weights(storage: Storage, job: Job, work: WorkFolder) -> None:
    """Download the weights that the job begins with, unless that is done. Raises BadRequest if they are gone."""
    if not _is_given(job) or work.initial_weights.exists():
        return
    try:
        await download_file(storage.artifacts.get_blob_client(_name(job)), work.initial_weights)
    except ResourceNotFoundError:
        raise BadRequest("the weights to begin with are no longer there; make a new job.") from None


async def discard_weights(storage: Storage, job: Job) -> None:
    if _is_given(job):
        await delete_blob(storage.artifacts, _name(job))


_GONE = "That import was removed; import the model again."


def _is_given(job: Job) -> bool:
    return job.params.get(_FIELD) is not None


def _name(job: Job) -> str:
    return f"{job.folder}/initial_weights.bin"


def _refused(text: str) -> BadRequest:
    return BadRequest({_FIELD: [text]})
