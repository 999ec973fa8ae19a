"""One rule's turn in a round of upkeep: what it is handed, how it counts, and how it keeps to its time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

from core.base import telemetry
from core.base.clients import Storage
from core.jobs.start import Orchestrations, RunState, Startable
from core.upkeep.position import Position

log = logging.getLogger(__name__)

# Storage answers within milliseconds; so many requests wait for it together.
_AT_ONCE = 8
# A storage that is away fails every item; the log needs to hear of it, not of each.
_MOST_TOLD = 3

Item = TypeVar("Item")


class Runs(Orchestrations, Protocol):
    """The orchestrations of one name, which can be started and asked after."""

    async def state(self, job: Startable) -> RunState: ...


class Durable(Protocol):
    """What upkeep asks of the durable functions."""

    def runs(self, orchestration: str) -> Runs: ...

    async def purge(self, created_from: datetime, created_to: datetime) -> int:
        """Delete the histories of ended orchestrations that were created then: how many there were."""
        ...


@dataclass(frozen=True)
class Means:
    """What all rules of a round are handed. `at` is the round's time; `page` the most items looked at in one go."""

    storage: Storage
    durable: Durable
    at: datetime
    page: int = 1000


class Turn:
    """`ends` is when the rule should stop, by `time.monotonic`. It always gets to do something, so that it gets on."""

    def __init__(self, rule: str, means: Means, ends: float) -> None:
        self.rule = rule
        self.storage = means.storage
        self.durable = means.durable
        self.at = means.at
        self.page = means.page
        self.counts: Counter[str] = Counter()
        self.position = Position(means.storage, rule)
        self._ends = ends
        self._left_out = False

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self._ends

    def count(self, what: str, many: int = 1) -> None:
        self.counts[what] += many

    async def each(self, items: Iterable[Item], work: Callable[[Item], Awaitable[str]]) -> None:
        """Do `work` on every item, a few at a time, and count what it answers; "" is nothing to count.

        An item whose work fails is counted as failed and keeps no other from its turn. When the time is over
        no further item is begun.
        """
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(number: int, item: Item) -> None:
            async with gate:
                if number >= _AT_ONCE and self.is_over:
                    self._left_out = True
                    return
                try:
                    with telemetry.bound(**_fields(item)):
                        outcome = await work(item)
                except Exception as error:
                    outcome = "failed"
                    if self.counts[outcome] < _MOST_TOLD:
                        log.warning("upkeep, %s: %s failed", self.rule, _name(item), exc_info=error)
                if outcome:
                    self.count(outcome)

        await asyncio.gather(*(one(number, item) for number, item in enumerate(items)))

    async def walk(
        self,
        pages: Callable[[str], AsyncIterator[tuple[list[Item], str]]],
        work: Callable[[list[Item]], Awaitable[None]],
    ) -> None:
        """Do `work` on page after page, from where the rule stopped last; stop when the time is over.

        `pages` takes the token of its first page, "" for the beginning.
        """
        begun = current = await self.position.read()
        async for page, following in pages(begun):
            self.count("seen", len(page))
            await work(page)
            if self._left_out or (following and self.is_over):
                await self.position.write(current if self._left_out else following)
                self.count("to be continued")
                return
            current = following
        if begun:
            # What lies before the place where this turn began is the next one's.
            await self.position.forget()


def _fields(item: Any) -> dict[str, str]:
    """Whose row it is, for all that is logged while it is looked at."""
    if not isinstance(item, dict):
        return {}
    return {"owner": item["PartitionKey"], "job": item["RowKey"].partition("-")[2]}


def _name(item: Any) -> str:
    """An id or a name for the log, never a whole row."""
    return str(item["RowKey"] if isinstance(item, dict) else getattr(item, "name", item))
