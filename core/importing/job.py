"""An import job: what its row holds and what the API shows of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from core.base.tables import Row
from core.importing.states import ENDED, ImportStatus

KEY_PREFIX = "import-"


@dataclass(frozen=True)
class ImportJob:
    """One uploaded model file of one owner.

    `claim` is set by whoever starts the orchestration, `runner` by the activity that reads the file right now.
    The graph that was read is packed in `document` (see `core.base.blobs`) or, where it is too large for a row,
    in the blob `document_name`. `graph_id` is set once a graph was made of it. `restarts` counts how often a lost
    orchestration was started again. `files_removed_at` is set once what was read has been kept long enough.
    """

    owner: str
    id: str
    source_name: str
    upload_path: str
    created_at: str
    updated_at: str
    status: ImportStatus = ImportStatus.QUEUED
    error: str = ""
    graph_name: str = ""
    auto_create_graph: bool = False
    upload_size: int = 0
    upload_etag: str = ""
    claim: str = ""
    claimed_at: str = ""
    runner: str = ""
    restarts: int = 0
    started_at: str = ""
    finished_at: str = ""
    graph_id: str = ""
    files_removed_at: str = ""
    document: bytes = b""
    document_name: str = ""
    etag: str = ""

    @property
    def queued(self) -> bool:
        return self.status is ImportStatus.QUEUED

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def folder(self) -> str:
        """Where the job's blobs are, in the artifacts' container."""
        return f"{self.owner}/{self.id}"

    def view(self, payload: dict[str, Any] | None, graph: dict[str, Any] | None) -> dict[str, Any]:
        """The job as the API shows it, with the graph that was read and the one that was made of it."""
        options: dict[str, Any] = {"graph_name": self.graph_name} if self.graph_name else {}
        if self.auto_create_graph:
            options["auto_create_graph"] = True
        return {
            "id": self.id,
            "status": self.status.value,
            "source_name": self.source_name,
            "graph_payload": payload,
            "graph": graph,
            "error": self.error,
            "options": options,
            "upload_size_bytes": self.upload_size,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "started_at": self.started_at or None,
            "finished_at": self.finished_at or None,
        }

    def row(self) -> Row:
        values = {name: getattr(self, name) for name in _COLUMNS}
        # An Int32 property overflows at 2 GiB; the text of a number does not.
        values |= {"status": self.status.value, "upload_size": str(self.upload_size)}
        return {"PartitionKey": self.owner, "RowKey": KEY_PREFIX + self.id, **values}

    @classmethod
    def of(cls, row: Row) -> ImportJob:
        values = {name: row[name] for name in _COLUMNS if name in row}
        values |= {"status": ImportStatus(row["status"]), "upload_size": int(row["upload_size"])}
        job_id = row["RowKey"].removeprefix(KEY_PREFIX)
        return cls(owner=row["PartitionKey"], id=job_id, etag=row["etag"], **values)


_COLUMNS = [f.name for f in fields(ImportJob) if f.name not in ("owner", "id", "etag")]
