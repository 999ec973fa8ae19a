"""A training job: what its row holds and what the API shows of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, replace
from typing import Any

from core.base.tables import Row
from core.jobs.exports import Export, exports_view
from core.jobs.states import ENDED, Status

KEY_PREFIX = "job-"

# What the canvas reads of an ended job, also of one that ended before it had anything to show.
EMPTY_RESULT: dict[str, Any] = {
    "history": {},
    "evaluation": None,
    "best_model_artifact": None,
    "training_log_artifact": None,
    **exports_view({}),
}
# What leads to a file, as it is once the files are removed.
_NO_FILES = {key: EMPTY_RESULT[key] for key in ("best_model_artifact", "training_log_artifact", *exports_view({}))}


@dataclass(frozen=True)
class Job:
    """One training job of one owner.

    `claim` is set by whoever starts the orchestration, `runner` by the activity that is at work on the
    job right now. `live` is what the API shows while the job runs. The last results are packed in
    `document` (see `core.base.blobs`) or, where they are too large for a row, in the blob
    `document_name`. `threads` is fixed when the job is made, since results depend on it. `trace` is the W3C
    traceparent of the call that made the job, which the spans of its activities hang below. `restarts` counts
    how often a lost orchestration was started again. `files_removed_at` is set once the files of the ended
    job have been kept long enough; its result stays. `exports` holds what was exported since, by format: the
    document of an ended job is never written again.
    """

    owner: str
    id: str
    graph_id: str
    params: dict[str, Any]
    created_at: str
    updated_at: str
    status: Status = Status.QUEUED
    progress: float = 0.0
    error: str = ""
    live: dict[str, Any] = field(default_factory=dict[str, Any])
    dataset_path: str = ""
    dataset_etag: str = ""
    dataset_size: int = 0
    artifact_path: str = ""
    claim: str = ""
    claimed_at: str = ""
    started_at: str = ""
    runner: str = ""
    cancel_requested: bool = False
    restarts: int = 0
    files_removed_at: str = ""
    threads: int = 0
    slices: int = 0
    trace: str = ""
    document: bytes = b""
    document_name: str = ""
    exports: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    etag: str = ""

    @property
    def queued(self) -> bool:
        return self.status is Status.QUEUED

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def folder(self) -> str:
        """Where the job's blobs are, in the artifacts' container."""
        return f"{self.owner}/{self.id}"

    def export(self, kind: str) -> Export:
        """The export to that format; one that nobody has claimed where the row knows none."""
        return Export.of(self.owner, self.id, kind, self.exports.get(kind))

    def with_export(self, export: Export) -> Job:
        return replace(self, exports={**self.exports, export.format: export.entry()})

    def view(self, result: dict[str, Any]) -> dict[str, Any]:
        """The job as the API shows it, with `result` once it has ended."""
        result = {**EMPTY_RESULT, **result, **exports_view(self.exports)}
        if self.files_removed_at:
            # No button may lead to a file that is gone.
            result |= {**_NO_FILES, "files_removed_at": self.files_removed_at}
        return {
            "id": self.id,
            "graph": self.graph_id,
            "status": self.status.value,
            "params": self.params,
            "result": result if self.ended else self.live,
            "dataset_path": self.dataset_path,
            "artifact_path": self.artifact_path,
            "progress": self.progress,
            "error": self.error,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }

    def row(self) -> Row:
        values = {name: getattr(self, name) for name in _COLUMNS}
        values |= {name: json.dumps(getattr(self, name)) for name in _JSON}
        # An Int32 property overflows at 2 GiB; the text of a number does not.
        values |= {"status": self.status.value, "dataset_size": str(self.dataset_size)}
        return {"PartitionKey": self.owner, "RowKey": KEY_PREFIX + self.id, **values}

    @classmethod
    def of(cls, row: Row) -> Job:
        values = {name: row[name] for name in _COLUMNS if name in row}
        values |= {name: json.loads(row[name]) for name in _JSON if name in row}
        values |= {"status": Status(row["status"]), "dataset_size": int(row["dataset_size"])}
        job_id = row["RowKey"].removeprefix(KEY_PREFIX)
        return cls(owner=row["PartitionKey"], id=job_id, etag=row["etag"], **values)


_JSON = ("params", "live", "exports")
_COLUMNS = [f.name for f in fields(Job) if f.name not in ("owner", "id", "etag", *_JSON)]
