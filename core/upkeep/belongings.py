"""Which blobs belong to which row, and how long the row needs them: by this table leftovers are deleted.

Whoever stores blobs of a new name adds a line. A blob whose name fits no line is unknown here, and is
never touched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from azure.storage.blob.aio import ContainerClient

from core.base.clients import Storage
from core.base.tables import Row
from core.graphs import snapshot_store as snapshots
from core.graphs import store as graphs
from core.importing import states as import_states
from core.importing.store import ImportStore
from core.jobs import states as job_states
from core.jobs.store import JobStore
from core.serving.batches.batch import OUTPUT, SOURCE
from core.serving.batches.store import BatchStore
from core.training.results import ARTIFACTS, EXPORTS

# What an ended job leaves may still be read or written by an activity that does not know of its end yet.
REST = timedelta(days=1)

_ENDED = {status.value for status in (*job_states.ENDED, *import_states.ENDED)}


@dataclass(frozen=True)
class Rows:
    """The rows of one table to which blobs belong, with the columns that decide on them."""

    table: str
    key_prefix: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Belonging:
    """Blobs of one pattern. `needed` is asked with their row, their name and the time; without a row they are not."""

    pattern: re.Pattern[str]
    rows: Rows
    needed: Callable[[Row, str, datetime], bool]


def while_open(row: Row, name: str, at: datetime) -> bool:
    """Until a day after the job's end."""
    return row["status"] not in _ENDED or at - datetime.fromisoformat(row["updated_at"]) < REST


def while_kept(row: Row, name: str, at: datetime) -> bool:
    """Of a job that has succeeded, until its files are kept no longer; of others, while they are open."""
    kept = row["status"] == "succeeded" and not row.get("files_removed_at")
    return kept or while_open(row, name, at)


def while_named(row: Row, name: str, at: datetime) -> bool:
    """As long as the row says that its document is in this blob and not in the row."""
    return row["document_name"] == name or while_open(row, name, at)


def while_current(row: Row, name: str, at: datetime) -> bool:
    """As long as it is the revision that the row names."""
    return row["blob"] == name


_JOB_COLUMNS = ("status", "updated_at", "files_removed_at", "document_name")
TRAININGS = Rows(JobStore.TABLE, JobStore.KEY_PREFIX, _JOB_COLUMNS)
IMPORTS = Rows(ImportStore.TABLE, ImportStore.KEY_PREFIX, _JOB_COLUMNS)
BATCHES = Rows(BatchStore.TABLE, BatchStore.KEY_PREFIX, ("status", "updated_at", "files_removed_at"))
GRAPHS = Rows(graphs.TABLE, graphs.KEY_PREFIX, ("blob",))
SNAPSHOTS = Rows(snapshots.TABLE, snapshots.KEY_PREFIX, ("blob",))


def _named(rest: str, folder: str = "") -> re.Pattern[str]:
    """`{owner}/{folder}{id}/{rest}`; `rest` is a regular expression."""
    return re.compile(rf"(?P<owner>[^/]+)/{folder}(?P<id>[^/]+)/(?:{rest})")


_FILES = "|".join(re.escape(artifact.file) for artifact in (ARTIFACTS | EXPORTS).values())

UPLOADS_TABLE = (
    Belonging(_named(r"source\.csv"), TRAININGS, while_open),
    Belonging(_named(re.escape(SOURCE)), BATCHES, while_open),
)
IMPORTS_TABLE = (Belonging(_named(r"model\.[^/]+"), IMPORTS, while_open),)
ARTIFACTS_TABLE = (
    Belonging(_named(r"checkpoints/.+"), TRAININGS, while_open),
    Belonging(_named(r"initial_weights\.bin"), TRAININGS, while_open),
    Belonging(_named(r"graph\.json\.gz"), TRAININGS, while_kept),
    Belonging(_named(_FILES), TRAININGS, while_kept),
    Belonging(_named(r"result\.json\.gz"), TRAININGS, while_named),
    Belonging(_named(r"import\.json\.gz"), IMPORTS, while_named),
    Belonging(_named(re.escape(OUTPUT)), BATCHES, while_kept),
    Belonging(_named(r"weights\.bin"), IMPORTS, while_kept),
)
GRAPHS_TABLE = (
    Belonging(_named(r"[^/]+\.json\.gz"), GRAPHS, while_current),
    Belonging(_named(r"[^/]+\.json\.gz", "snapshots/"), SNAPSHOTS, while_current),
)


@dataclass(frozen=True)
class Place:
    """A container, and whose the blobs in it are."""

    container: Callable[[Storage], ContainerClient]
    belongings: tuple[Belonging, ...]


PLACES: Mapping[str, Place] = {
    "uploads": Place(lambda storage: storage.uploads, UPLOADS_TABLE),
    "imports": Place(lambda storage: storage.imports, IMPORTS_TABLE),
    "artifacts": Place(lambda storage: storage.artifacts, ARTIFACTS_TABLE),
    "graphs": Place(lambda storage: storage.graphs, GRAPHS_TABLE),
}
