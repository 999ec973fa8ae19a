"""Timer triggers: called when due, never twice at once, made up for after a downtime."""

import asyncio
import time
from contextlib import suppress
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aiohttp import web
from croniter import croniter
from croniter.croniter import CroniterError

from devhost.background import Background, sleep_until
from devhost.errors import HostError, InvocationFailed
from devhost.functions import Function
from devhost.settings import Settings
from devhost.store import Store
from devhost.supervisor import Supervisor


class Timer:
    """One timer function. Its schedule is an NCRONTAB expression of six fields, or five without seconds, in an IANA
    `zone` or else that of the machine; times are Unix seconds. Raises HostError.

    Its status, `[schedule, last, next]`, survives restarts unless occurrences are less than a minute apart."""

    def __init__(self, function: Function, zone: str | None, store: Store, supervisor: Supervisor) -> None:
        self._function, self._store, self._supervisor = function, store, supervisor
        self._schedule: str = function.trigger["schedule"]
        fields = self._schedule.split()
        self._fields = " ".join(["0", *fields] if len(fields) == 5 else fields)
        try:
            if len(fields) not in (5, 6):
                raise ValueError("five or six fields are needed")
            self._zone = ZoneInfo(zone) if zone else None
            first = self._next(time.time())
        except (CroniterError, ValueError, ZoneInfoNotFoundError) as error:
            text = f"function {function.name}: the schedule '{self._schedule}' cannot be read ({error})."
            raise HostError(text) from error
        is_rare = self._next(first) - first >= 60
        self._is_monitored = is_rare and function.trigger.get("useMonitor", True) is not False

    def _next(self, after: float) -> float:
        """The first occurrence after a moment."""
        local = datetime.fromtimestamp(after, self._zone).replace(tzinfo=None)
        # NCRONTAB wants both the day of the month and the day of the week to fit.
        found = croniter(self._fields, local, second_at_beginning=True, day_or=False).get_next(datetime)
        return found.replace(tzinfo=self._zone).timestamp()

    async def run(self, is_first: bool) -> None:
        """Calls the function whenever it is due; `is_first` is false after a reload of the app."""
        last, missed = self._status()
        now = time.time()
        if is_first and missed is not None and missed <= now:
            await self.call(missed, is_past_due=True)
        elif is_first and self._function.trigger.get("runOnStartup"):
            await self.call(now)
        else:
            self._save(last, self._next(now))
        due = self._next(time.time())
        while True:
            await sleep_until(due)
            await self.call(due)
            due = self._next(max(due, time.time()))

    async def call(self, due: float, is_past_due: bool = False) -> None:
        """One call; a failure is logged and otherwise without consequence."""
        last, _ = self._status()
        moments = {"Last": last or due, "Next": self._next(max(due, time.time())), "LastUpdated": time.time()}
        status = {name: datetime.fromtimestamp(at).astimezone().isoformat() for name, at in moments.items()}
        with suppress(InvocationFailed):
            await self._supervisor.call(self._function, timer={"past_due": is_past_due, "schedule_status": status})
        self._save(due, self._next(max(due, time.time())))

    def _status(self) -> tuple[float | None, float | None]:
        schedule, last, following = self._store.get("timer", self._function.name) or (None, None, None)
        return (last, following) if self._is_monitored and schedule == self._schedule else (None, None)

    def _save(self, last: float | None, following: float) -> None:
        if self._is_monitored:
            self._store.put("timer", self._function.name, [self._schedule, last, following])


class Timers:
    """All timer triggers of the app."""

    def __init__(self, store: Store, supervisor: Supervisor, settings: Settings, background: Background) -> None:
        self._store, self._supervisor, self._background = store, supervisor, background
        self._zone = settings.get("WEBSITE_TIME_ZONE")
        self._timers: dict[str, Timer] = {}
        self._tasks: list[asyncio.Task[None]] | None = None

    def use(self, functions: list[Function]) -> None:
        """Serves these functions from now on; raises HostError for a schedule that cannot be read."""
        make = {one.name.lower(): Timer(one, self._zone, self._store, self._supervisor) for one in functions}
        is_first = self._tasks is None
        for task in self._tasks or []:
            task.cancel()
        self._timers = make
        self._tasks = [self._background.start(timer.run(is_first)) for timer in make.values()]

    async def run_by_hand(self, _request: web.Request, values: dict[str, str]) -> web.Response:
        """POST /admin/functions/{name}: one call out of turn."""
        timer = self._timers.get(values["name"].lower())
        if timer is None:
            return web.Response(status=404)
        await timer.call(time.time())
        return web.Response(status=202)
