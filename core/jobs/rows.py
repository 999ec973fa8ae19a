"""Jobs of one kind in Table Storage: partition = owner, row key sorts newest first, one quota row beside them."""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from azure.storage.blob.aio import BlobClient

from core.base import tables, telemetry
from core.base.clients import Storage
from core.base.clock import now, timestamp
from core.base.errors import NotFound, TooMany, Unavailable
from core.base.settings import Settings
from core.base.transitions import check_transition
from core.jobs.quota import ROW_KEY, Held, held_in, moved, quota_row

# With jitter of up to 0.2 s this lets some fifty writers of one quota row all get through.
_TRIES = 60

# An upload that began just before its link ended may take so long.
_UPLOAD_GRACE = timedelta(minutes=15)


def upload_life(settings: Settings) -> timedelta:
    """How long after a job was made its upload may still arrive."""
    return timedelta(minutes=settings.upload_url_minutes) + _UPLOAD_GRACE


class StoredJob(Protocol):
    """A frozen dataclass that knows its row; `claim` is set by whoever starts it."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def owner(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def status(self) -> StrEnum: ...
    @property
    def queued(self) -> bool: ...
    @property
    def ended(self) -> bool: ...
    @property
    def claim(self) -> str: ...
    @property
    def created_at(self) -> str: ...
    @property
    def etag(self) -> str: ...

    def row(self) -> tables.Row: ...


AnyJob = TypeVar("AnyJob", bound=StoredJob)


class JobRows(ABC, Generic[AnyJob]):
    """Reads jobs and makes every change of one as a conditional write that respects states and quota."""

    TABLE: ClassVar[str]
    KEY_PREFIX: ClassVar[str]
    NOUN: ClassVar[str]
    TRANSITIONS: ClassVar[Mapping[Any, frozenset[Any]]]
    # The names of what the quota row counts.
    COUNTED: ClassVar[tuple[str, ...]]

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    @abstractmethod
    def _of(self, row: tables.Row) -> AnyJob: ...

    @abstractmethod
    def _held(self, job: AnyJob) -> Held:
        """What the job holds as it stands; nothing once it has ended."""

    @abstractmethod
    def _check_quota(self, held: Held, wanted: Held) -> None:
        """Raises TooMany if an owner who holds `held` may not come to hold `wanted`; giving back is always allowed."""

    @abstractmethod
    def _upload(self, job: AnyJob) -> BlobClient: ...

    @abstractmethod
    def _given_up(self, job: AnyJob) -> AnyJob:
        """The job, failed because nothing was uploaded."""

    def _stamped(self, before: AnyJob, after: AnyJob, at: str) -> AnyJob:
        return replace(after, updated_at=at)

    async def create(self, job: AnyJob) -> AnyJob:
        """Raises TooMany if the owner's quota is used up."""
        try:
            return await self._insert(job)
        except TooMany:
            if not await self.give_up_uploads(job.owner):
                raise
        return await self._insert(job)

    async def check_room(self, job: AnyJob) -> None:
        """Raises TooMany if the job could not be made now: asked before anything is written for it."""
        for again in (True, False):
            held = await self.held(job.owner)
            try:
                return self._check_quota(held, moved(held, Held(), self._held(job)))
            except TooMany:
                if not again or not await self.give_up_uploads(job.owner):
                    raise
        raise AssertionError("unreachable")

    async def get(self, owner: str, job_id: str) -> AnyJob:
        """Raises NotFound, also for another owner's job."""
        row = await tables.read(await self._table(), owner, self.KEY_PREFIX + job_id)
        if row is None:
            raise NotFound(f"There is no {self.NOUN} with that id.")
        return self._of(row)

    async def list(self, owner: str) -> list[AnyJob]:
        """The owner's jobs, newest first."""
        rows = tables.scan(await self._table(), owner, self.KEY_PREFIX)
        return [self._of(row) async for row in rows]

    async def held(self, owner: str) -> Held:
        """What the owner's jobs hold, by the quota row."""
        return held_in(await tables.read(await self._table(), owner, ROW_KEY), self.COUNTED)

    async def reconcile(self, owner: str) -> bool:
        """Make the quota row say what the jobs say; whether it said something else.

        Whatever changes what jobs hold writes the quota row too. So while that is still the one that was read
        before them, the jobs were read as they are.
        """
        rows = await self._table()
        known = await tables.read(rows, owner, ROW_KEY)
        open_ = " or ".join(f"status eq '{status}'" for status, following in self.TRANSITIONS.items() if following)
        held = Held()
        async for row in tables.find(rows, f"PartitionKey eq @owner and ({open_})", {"owner": owner}):
            held += self._held(self._of(row))
        if held == held_in(known, self.COUNTED):
            return False
        etag = {"etag": known["etag"]} if known is not None else {}
        return await tables.write_together(rows, [quota_row(owner, held, self.COUNTED) | etag])

    async def change(self, owner: str, job_id: str, mutate: Callable[[AnyJob], AnyJob | None]) -> AnyJob:
        """Apply `mutate` to the job as it is at the moment of writing; the job as it then stands.

        `mutate` returns the new job, or None to leave it as it is, and may raise. It is called again whenever
        somebody else was faster. Raises NotFound, Conflict for a forbidden transition, TooMany.
        """
        for attempt in range(_TRIES):
            before = await self.get(owner, job_id)
            after = mutate(before)
            if after is None:
                return before
            check_transition(self.TRANSITIONS, before.status, after.status, self.NOUN)
            try:
                written = await self._write(before, self._stamped(before, after, timestamp(now())))
            except TooMany:
                # The last place may have gone to this very job, by another hand, since it was read.
                if (await self.get(owner, job_id)).etag == before.etag:
                    raise
                continue
            if written is not None:
                if written.status != before.status:
                    telemetry.record("jobs.entered", 1, kind=self.NOUN, state=written.status.value)
                return written
            await _pause(attempt)
        raise self._too_many_changes()

    async def give_up_uploads(self, owner: str) -> bool:
        """Fail the jobs whose upload link has ended without an upload; whether there were any."""
        oldest = now() - upload_life(self._storage.settings)
        given_up = False
        for job in await self.list(owner):
            late = job.queued and not job.claim and datetime.fromisoformat(job.created_at) < oldest
            if late and not await self._upload(job).exists():
                await self.change(owner, job.id, lambda it: self._given_up(it) if it.queued and not it.claim else None)
                given_up = True
        return given_up

    async def _insert(self, job: AnyJob) -> AnyJob:
        for attempt in range(_TRIES):
            written = await self._write(None, job)
            if written is not None:
                telemetry.record("jobs.entered", 1, kind=self.NOUN, state=written.status.value)
                return written
            await _pause(attempt)
        raise self._too_many_changes()

    async def _write(self, before: AnyJob | None, after: AnyJob) -> AnyJob | None:
        """Write the job, with the quota row if it takes or gives back; None if somebody was faster at either."""
        rows = await self._table()
        job_row = {**after.row(), "etag": before.etag} if before is not None else after.row()
        held_before, held_after = self._held(before) if before is not None else Held(), self._held(after)
        if before is not None and held_before == held_after:
            written = await tables.replace(rows, job_row)
            return self._of(written) if written is not None else None
        known = await tables.read(rows, after.owner, ROW_KEY)
        held = held_in(known, self.COUNTED)
        wanted = moved(held, held_before, held_after)
        self._check_quota(held, wanted)
        etag = {"etag": known["etag"]} if known is not None else {}
        changed = quota_row(after.owner, wanted, self.COUNTED) | etag
        if await tables.write_together(rows, [changed, job_row]):
            return await self.get(after.owner, after.id)
        return None

    async def _table(self) -> Any:
        return await tables.table(self._storage.tables, self.TABLE)

    def _too_many_changes(self) -> Unavailable:
        return Unavailable(f"Too many changes of your {self.NOUN}s at once; try again in a moment.")


async def _pause(attempt: int) -> None:
    await asyncio.sleep(random.uniform(0, min(0.01 * 2**attempt, 0.2)))
