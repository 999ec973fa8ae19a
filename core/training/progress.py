"""Progress of a running activity: written to the job's row at most once a second, and in the same
breath the row is asked whether to go on."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from enum import StrEnum
from typing import Any, Protocol

from azure.core.exceptions import AzureError

from core.base.errors import Unavailable
from core.jobs.job import Job
from core.jobs.store import JobStore

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 1.0


class Verdict(StrEnum):
    """What the row says to an activity at work on it."""

    GO_ON = "go on"
    CANCEL = "cancel"
    ENDED = "ended"
    SUPERSEDED = "superseded"


class Workable(Protocol):
    """A job, whatever its kind, on which one activity at a time is at work."""

    @property
    def ended(self) -> bool: ...

    @property
    def runner(self) -> str: ...

    @property
    def cancel_requested(self) -> bool: ...


def verdict_on(job: Workable, runner: str) -> Verdict:
    if job.ended:
        return Verdict.ENDED
    if job.runner != runner:
        return Verdict.SUPERSEDED
    return Verdict.CANCEL if job.cancel_requested else Verdict.GO_ON


class Progress:
    """Holds the newest news of the child; what came and went between two writes is not missed."""

    def __init__(self, store: JobStore, job: Job) -> None:
        self._store = store
        self._job = job
        self._latest: dict[str, Any] = {}
        self.verdict = Verdict.GO_ON

    async def on_event(self, event: dict[str, Any]) -> None:
        # An event without `live` carries only how far the epoch is: it must not hide a finished epoch.
        if event["event"] in ("progress", "stage"):
            self._latest = {**self._latest, **event}

    async def watch(self) -> None:
        """Write and ask until the row says to stop; storage trouble in between is waited out."""
        while self.verdict is Verdict.GO_ON:
            try:
                await self._store.change(self._job.owner, self._job.id, self._tick)
            except (AzureError, Unavailable) as error:
                log.warning("progress of job %s could not be written: %s", self._job.id, type(error).__name__)
            if self.verdict is Verdict.GO_ON:
                await asyncio.sleep(INTERVAL_SECONDS)

    def _tick(self, job: Job) -> Job | None:
        self.verdict = verdict_on(job, self._job.runner)
        if self.verdict is not Verdict.GO_ON or not self._latest:
            return None
        live = dict(job.live)
        if "text" in self._latest:
            live["stage"] = self._latest["text"]
        if self._latest.get("live"):
            live["live"] = self._latest["live"]
        progress = max(job.progress, fitting_progress(self._latest["done"])) if "done" in self._latest else job.progress
        updated = replace(job, progress=progress, live=live)
        return None if updated == job else updated


def fitting_progress(done: float) -> float:
    """Fitting takes the progress from 0.05 to 0.95 (the API's section 5)."""
    return round(0.05 + 0.9 * done, 4)
