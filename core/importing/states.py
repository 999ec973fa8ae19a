"""The states of an import job and the only changes between them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from core.base.errors import Conflict


class ImportStatus(StrEnum):
    QUEUED = "queued"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


TRANSITIONS: Mapping[ImportStatus, frozenset[ImportStatus]] = {
    ImportStatus.QUEUED: frozenset({ImportStatus.PROCESSING, ImportStatus.FAILED, ImportStatus.CANCELLED}),
    ImportStatus.PROCESSING: frozenset({ImportStatus.SUCCEEDED, ImportStatus.FAILED}),
    ImportStatus.SUCCEEDED: frozenset(),
    ImportStatus.FAILED: frozenset(),
    ImportStatus.CANCELLED: frozenset(),
}

ENDED = frozenset(status for status, following in TRANSITIONS.items() if not following)


def check_transition(before: ImportStatus, after: ImportStatus) -> None:
    """Raises Conflict unless a job may go from `before` to `after`; staying is always allowed."""
    if after != before and after not in TRANSITIONS[before]:
        raise Conflict(f"An import that is {before} cannot become {after}.")
