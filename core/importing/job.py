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
    in the blob `document_name`. `graph_id` is set once a graph was made of it. The weights that were kept are the blob
    `weights_name`; `weights_note` says why there are none, or what of them cannot be used. `restarts` counts how often
    a lost orchestration was started again. `files_removed_at` is set once what was read has been kept long enough.
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
    weights_name: str = ""
    weights_layers: int = 0
    weights_parameters: int = 0
    weights_note: str = ""
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

    @property
    def weights_blob(self) -> str:
        """What the blob of the weights is called, once it is there."""
        return f"{self.folder}/weights.bin"

    def view(self, payload: dict[str, Any] | None, graph: dict[str, Any] | None) -> dict[str, Any]:
        """The job as the API shows it, with the graph that was read and the one that was made of it."""
        options: dict[str, Any] = {"graph_name": self.graph_name} if self.graph_name else {}
        if self.auto_create_graph:
            options["auto_create_graph"] = True
        weights = {"layers": self.weights_layers, "parameters": self.weights_parameters} if self.weights_name else None
        return {
            "id": self.id,
            "status": self.status.value,
            "source_name": self.source_name,
            "graph_payload": payload,
            "graph": graph,
            "weights": weights,
            "weights_note": self.weights_note,
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
        values |= {"status": self.status.value}
        values |= {name: str(getattr(self, name)) for name in _LARGE}
        return {"PartitionKey": self.owner, "RowKey": KEY_PREFIX + self.id, **values}

    @classmethod
    def of(cls, row: Row) -> ImportJob:
        values = {name: row[name] for name in _COLUMNS if name in row}
        values |= {"status": ImportStatus(row["status"])}
        values |= {name: int(row[name]) for name in _LARGE if name in row}
        job_id = row["RowKey"].removeprefix(KEY_PREFIX)
        return cls(owner=row["PartitionKey"], id=job_id, etag=row["etag"], **values)


_LARGE = ("upload_size", "weights_parameters")
_COLUMNS = [f.name for f in fields(ImportJob) if f.name not in ("owner", "id", "etag")]
