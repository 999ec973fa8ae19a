"""The kinds of jobs, as the rules that hold for all of them see one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from azure.storage.blob.aio import BlobClient

from core.base import tables
from core.base.clients import Storage
from core.base.tables import Row
from core.importing.arrival import model_arrived
from core.importing.job import ImportJob
from core.importing.start import ORCHESTRATION as IMPORT
from core.importing.states import ImportStatus
from core.importing.store import ImportStore
from core.jobs.job import Job
from core.jobs.start import ORCHESTRATION as TRAIN
from core.jobs.start import Claimable, Orchestrations
from core.jobs.states import Status
from core.jobs.store import JobStore
from core.serving.batches.arrival import ORCHESTRATION as PREDICT
from core.serving.batches.arrival import rows_arrived
from core.serving.batches.batch import Batch
from core.serving.batches.store import BatchStore
from core.upkeep.turn import Turn
from core.uploads.arrival import start_if_room


class KnownJob(Claimable, Protocol):
    """What the rules look at in a job of any kind."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def ended(self) -> bool: ...
    @property
    def updated_at(self) -> str: ...
    @property
    def etag(self) -> str: ...
    @property
    def restarts(self) -> int: ...
    @property
    def files_removed_at(self) -> str: ...


AnyJob = TypeVar("AnyJob", bound=KnownJob)


class Store(Protocol[AnyJob]):
    """Where jobs of one kind are kept; every change of one is conditional, as `JobRows.change` says."""

    async def change(self, owner: str, job_id: str, mutate: Callable[[AnyJob], AnyJob | None]) -> AnyJob: ...


@dataclass(frozen=True)
class Kind(Generic[AnyJob]):
    """Jobs of one kind: their rows, their upload, their orchestration, and the door through which they start."""

    table: str
    key_prefix: str
    # The status of a job that an activity has begun.
    running: str
    of: Callable[[Row], AnyJob]
    store: Callable[[Storage], Store[AnyJob]]
    upload: Callable[[Storage, AnyJob], BlobClient]
    arrived: Callable[[Storage, Orchestrations, AnyJob], Awaitable[AnyJob]]
    orchestration: str
    # The job, ended because it cannot go on, with the reason for a person.
    given_up: Callable[[AnyJob, str], AnyJob]
    # The job, once its files are kept no longer.
    without_files: Callable[[AnyJob, str], AnyJob]

    async def pages(
        self, turn: Turn, token: str, where: str, select: list[str] | None = None, **parameters: Any
    ) -> AsyncIterator[tuple[list[Row], str]]:
        """Rows of this kind, for `Turn.walk`."""
        rows = await tables.table(turn.storage.tables, self.table)
        async for page in tables.pages(rows, where, parameters, select=select, size=turn.page, token=token):
            yield page


def _training_given_up(job: Job, reason: str) -> Job:
    if job.cancel_requested:
        return replace(job, status=Status.CANCELLED, runner="")
    return replace(job, status=Status.FAILED, error=f"Training failed: {reason}", runner="")


def _import_given_up(job: ImportJob, reason: str) -> ImportJob:
    return replace(job, status=ImportStatus.FAILED, error=f"Import failed: {reason}", runner="")


def _batch_given_up(batch: Batch, reason: str) -> Batch:
    if batch.cancel_requested:
        return replace(batch, status=Status.CANCELLED, runner="")
    return replace(batch, status=Status.FAILED, error=f"Prediction failed: {reason}", runner="")


TRAININGS = Kind(
    table=JobStore.TABLE,
    key_prefix=JobStore.KEY_PREFIX,
    running=Status.RUNNING.value,
    of=Job.of,
    store=JobStore,
    upload=lambda storage, job: storage.uploads.get_blob_client(job.dataset_path),
    arrived=start_if_room,
    orchestration=TRAIN,
    given_up=_training_given_up,
    # History, evaluation and what else the canvas draws are the result, not a file.
    without_files=lambda job, at: replace(job, files_removed_at=at, artifact_path=""),
)
IMPORTS = Kind(
    table=ImportStore.TABLE,
    key_prefix=ImportStore.KEY_PREFIX,
    running=ImportStatus.PROCESSING.value,
    of=ImportJob.of,
    store=ImportStore,
    upload=lambda storage, job: storage.imports.get_blob_client(job.upload_path),
    arrived=model_arrived,
    orchestration=IMPORT,
    given_up=_import_given_up,
    # A drawing that fits into the row goes like one that does not.
    without_files=lambda job, at: replace(job, files_removed_at=at, document=b"", document_name="", weights_name=""),
)
BATCHES = Kind(
    table=BatchStore.TABLE,
    key_prefix=BatchStore.KEY_PREFIX,
    running=Status.RUNNING.value,
    of=Batch.of,
    store=BatchStore,
    upload=lambda storage, batch: storage.uploads.get_blob_client(batch.upload_path),
    arrived=rows_arrived,
    orchestration=PREDICT,
    given_up=_batch_given_up,
    without_files=lambda batch, at: replace(batch, files_removed_at=at),
)
