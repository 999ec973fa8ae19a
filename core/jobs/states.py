"""The states of a job and the only changes between them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from core.base.errors import Conflict


class Status(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


TRANSITIONS: Mapping[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.RUNNING, Status.FAILED, Status.CANCELLED}),
    Status.RUNNING: frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED}),
    Status.SUCCEEDED: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELLED: frozenset(),
}

ENDED = frozenset(status for status, following in TRANSITIONS.items() if not following)


def check_transition(before: Status, after: Status) -> None:
    """Raises Conflict unless a job may go from `before` to `after`; staying is always allowed."""
    if after != before and after not in TRANSITIONS[before]:
        raise Conflict(f"A job that is {before} cannot become {after}.")
