"""The states of an import job and the only changes between them."""

from __future__ import annotations

from enum import StrEnum

from core.base.transitions import Transitions, ends


class ImportStatus(StrEnum):
    QUEUED = "queued"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


TRANSITIONS: Transitions[ImportStatus] = {
    ImportStatus.QUEUED: frozenset({ImportStatus.PROCESSING, ImportStatus.FAILED, ImportStatus.CANCELLED}),
    ImportStatus.PROCESSING: frozenset({ImportStatus.SUCCEEDED, ImportStatus.FAILED}),
    ImportStatus.SUCCEEDED: frozenset(),
    ImportStatus.FAILED: frozenset(),
    ImportStatus.CANCELLED: frozenset(),
}

ENDED = ends(TRANSITIONS)
