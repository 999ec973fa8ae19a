"""Exports of a trained model as the job's row keeps them: a small entry for each format that was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    UNDER_WAY = ""
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True)
class Export:
    """The export of one job's model to one format.

    `attempt` counts its claims, so that each has an orchestration of its own: the id of one that has ended is
    never used again. `claim` and `runner` are what they are in a job's row. `details` tell of a file that is
    ready, `error` is the sentence of a failed attempt.
    """

    owner: str
    job_id: str
    format: str
    attempt: int = 0
    claim: str = ""
    claimed_at: str = ""
    runner: str = ""
    outcome: Outcome = Outcome.UNDER_WAY
    error: str = ""
    details: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def id(self) -> str:
        """The instance id of this attempt's orchestration."""
        return f"{self.job_id}-{self.format}-{self.attempt}"

    @property
    def queued(self) -> bool:
        return self.outcome is Outcome.UNDER_WAY

    def again(self) -> Export:
        """Free to be claimed once more, whatever came of it before."""
        return replace(self, claim="", claimed_at="", runner="", outcome=Outcome.UNDER_WAY, error="", details={})

    def entry(self) -> dict[str, Any]:
        """What the row keeps, by the name of the format."""
        return {name: value for name, value in asdict(self).items() if name not in _KEYS}

    @classmethod
    def of(cls, owner: str, job_id: str, kind: str, entry: Mapping[str, Any] | None) -> Export:
        if entry is None:
            return cls(owner, job_id, kind)
        values: dict[str, Any] = {**entry, "outcome": Outcome(entry["outcome"])}
        return cls(owner, job_id, kind, **values)


def parse_id(export_id: str) -> tuple[str, str, int]:
    """Job, format and attempt of an `Export.id`."""
    rest, attempt = export_id.rsplit("-", 1)
    job_id, kind = rest.rsplit("-", 1)
    return job_id, kind, int(attempt)


def exports_view(entries: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The part of a job's `result` that tells of its exports; one that is under way is in none of the three."""
    ready = {kind: entry["details"] for kind, entry in entries.items() if entry["outcome"] == Outcome.READY}
    errors = {kind: entry["error"] for kind, entry in entries.items() if entry["outcome"] == Outcome.FAILED}
    return {"exports": sorted(ready), "export_errors": errors, "export_details": ready}


_KEYS = ("owner", "job_id", "format")
