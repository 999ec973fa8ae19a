"""Timer triggers: called when due, never twice at once, made up for after a downtime."""

import asyncio
import logging
import time
import uuid
from datetime import datetime
from typing import Any

from devhost.background import Background
from devhost.durable.store import Store
from devhost.errors import InvocationFailed, WorkerGone
from devhost.functions import Function
from devhost.settings import Settings
from devhost.supervisor import Supervisor
from devhost.triggers.schedule import Schedule

_log = logging.getLogger("devhost.timers")

# A longer sleep is cut, so that a machine that slept or a changed clock is noticed.
_LONGEST_SLEEP = 30.0


class Timer:
    """One timer function; its status row survives restarts."""

    def __init__(self, function: Function, schedule: Schedule, store: Store, supervisor: Supervisor) -> None:
        self._function = function
        self._schedule = schedule
        self._store = store
        self._supervisor = supervisor
        self._is_monitored = function.trigger.get("useMonitor", True) is not False and schedule.is_monitored(
            time.time()
        )

    async def run(self, is_first: bool) -> None:
        """Calls the function whenever it is due; `is_first` is false after a reload of the app."""
        row = self._row()
        now = time.time()
        if is_first and row is not None and row[1] <= now:
            await self._call(row[1], is_past_due=True)
        elif is_first and self._function.trigger.get("runOnStartup"):
            await self._call(now, is_past_due=False)
        upcoming = self._schedule.next(time.time())
        self._save(row[0] if row else None, upcoming)
        while True:
            await self._sleep_until(upcoming)
            await self._call(upcoming, is_past_due=False)
            upcoming = self._schedule.next(max(upcoming, time.time()))

    async def call_now(self) -> None:
        """One call out of turn."""
        await self._call(time.time(), is_past_due=False)

    def _row(self) -> tuple[float | None, float] | None:
        sql = "SELECT last, next FROM timers WHERE function = ? AND schedule = ?"
        rows = self._store.execute(sql, self._function.name, self._schedule.text) if self._is_monitored else []
        return rows[0] if rows else None

    def _save(self, last: float | None, upcoming: float) -> None:
        if self._is_monitored:
            row = (self._function.name, self._schedule.text, last, upcoming)
            self._store.execute("INSERT OR REPLACE INTO timers VALUES (?, ?, ?, ?)", *row)

    async def _sleep_until(self, moment: float) -> None:
        while (left := moment - time.time()) > 0:  # noqa: ASYNC110 - nothing announces that time has passed
            await asyncio.sleep(min(left, _LONGEST_SLEEP))

    async def _call(self, due: float, is_past_due: bool) -> None:
        last = self._row()
        upcoming = self._schedule.next(max(due, time.time()))
        header: dict[str, Any] = {
            "invocation": str(uuid.uuid4()),
            "past_due": is_past_due,
            "status": {
                "Last": _time(last[0] if last and last[0] else due),
                "Next": _time(upcoming),
                "LastUpdated": _time(time.time()),
            },
        }
        try:
            await self._supervisor.call(self._function, header)
        except InvocationFailed as error:
            _log.error("Executed 'Functions.%s' (Failed): %s", self._function.name, error.stack or error)
        except WorkerGone as error:
            _log.error("Executed 'Functions.%s' (Failed): %s.", self._function.name, error)
        self._save(due, self._schedule.next(max(due, time.time())))


class Timers:
    """All timer triggers of the app."""

    def __init__(self, store: Store, supervisor: Supervisor, settings: Settings) -> None:
        self._store = store
        self._supervisor = supervisor
        self._settings = settings
        self._background = Background()
        self._is_first = True
        self._timers: dict[str, Timer] = {}

    async def use(self, functions: list[Function]) -> None:
        """Serves these functions from now on; raises HostError for a schedule that cannot be read."""
        zone = self._settings.get("WEBSITE_TIME_ZONE")
        timers = {
            function.name: Timer(
                function,
                Schedule(function.name, function.trigger["schedule"], zone),
                self._store,
                self._supervisor,
            )
            for function in functions
        }
        await self.stop()
        self._timers = timers
        for timer in timers.values():
            self._background.start(timer.run(self._is_first))
        self._is_first = False

    def find(self, name: str) -> Timer | None:
        """A timer by function name, any case."""
        return next((timer for known, timer in self._timers.items() if known.lower() == name.lower()), None)

    async def stop(self) -> None:
        """Stops the clock."""
        await self._background.stop()


def _time(moment: float) -> str:
    return datetime.fromtimestamp(moment).astimezone().isoformat()
