"""A batch of predictions: what its row holds and what the API shows of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from core.base.tables import Row
from core.jobs.states import ENDED, Status

KEY_PREFIX = "batch-"
SOURCE = "rows.csv"
OUTPUT = "predictions.csv"


@dataclass(frozen=True)
class Batch:
    """One uploaded CSV of one owner, to be predicted by one training; its states are those of a training job.

    `offset` says how many bytes of the CSV have been predicted, `rows` how many rows those held, and `next_row` which
    row comes then, counted as in a spreadsheet; the three change together, in one write. `claim` is set by whoever
    starts the orchestration, `runner` by the activity that is at work on the batch right now. `restarts` counts how
    often a lost orchestration was started again; `files_removed_at` is set once the output has been kept long enough.
    """

    owner: str
    id: str
    job_id: str
    created_at: str
    updated_at: str
    status: Status = Status.QUEUED
    error: str = ""
    rows: int = 0
    offset: int = 0
    next_row: int = 1
    upload_etag: str = ""
    upload_size: int = 0
    claim: str = ""
    claimed_at: str = ""
    runner: str = ""
    cancel_requested: bool = False
    restarts: int = 0
    files_removed_at: str = ""
    etag: str = ""

    @property
    def queued(self) -> bool:
        return self.status is Status.QUEUED

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def upload_path(self) -> str:
        """The blob of the CSV, in the uploads' container; the blob trigger reads owner and batch back from it."""
        return f"{self.owner}/{self.id}/{SOURCE}"

    @property
    def output_path(self) -> str:
        """The blob of the CSV with predictions, in the artifacts' container."""
        return f"{self.owner}/{self.id}/{OUTPUT}"

    @property
    def progress(self) -> float:
        """From 0 to 1, never falling; 1 only once the output is there."""
        if self.status is Status.SUCCEEDED:
            return 1.0
        return round(0.99 * self.offset / self.upload_size, 4) if self.upload_size else 0.0

    def view(self) -> dict[str, Any]:
        """The batch as the API shows it, without the link to its output."""
        return {
            "batch_id": self.id,
            "job": self.job_id,
            "status": self.status.value,
            "progress": self.progress,
            "rows": self.rows,
            "error": self.error,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }

    def row(self) -> Row:
        values = {name: getattr(self, name) for name in _COLUMNS}
        # An Int32 property overflows at 2 GiB; the text of a number does not.
        values |= {name: str(getattr(self, name)) for name in _COUNTS} | {"status": self.status.value}
        return {"PartitionKey": self.owner, "RowKey": KEY_PREFIX + self.id, **values}

    @classmethod
    def of(cls, row: Row) -> Batch:
        values = {name: row[name] for name in _COLUMNS if name in row}
        values |= {name: int(row[name]) for name in _COUNTS} | {"status": Status(row["status"])}
        batch_id = row["RowKey"].removeprefix(KEY_PREFIX)
        return cls(owner=row["PartitionKey"], id=batch_id, etag=row["etag"], **values)


_COUNTS = ("rows", "offset", "next_row", "upload_size")
_COLUMNS = [f.name for f in fields(Batch) if f.name not in ("owner", "id", "etag", *_COUNTS)]
