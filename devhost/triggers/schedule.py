"""NCRONTAB schedules: six fields beginning with seconds, or five; in the machine's zone or a set one."""

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import croniter
from croniter.croniter import CroniterError

from devhost.errors import HostError


class Schedule:
    """One expression; times are Unix seconds. `zone` is an IANA name or None for the machine's zone."""

    def __init__(self, function: str, text: str, zone: str | None) -> None:
        self.text = text
        fields = text.split()
        # Five fields mean second 0, as NCRONTAB reads them.
        self._fields = " ".join(["0", *fields] if len(fields) == 5 else fields)
        try:
            self._zone = ZoneInfo(zone) if zone else None
            if len(self._fields.split()) != 6:
                raise ValueError("five or six fields are needed")
            self.next(0.0)
        except (CroniterError, ValueError, ZoneInfoNotFoundError) as error:
            raise HostError(f"function {function}: the schedule '{text}' cannot be read ({error}).") from error

    def next(self, after: float) -> float:
        """The first occurrence after a moment."""
        local = datetime.fromtimestamp(after, self._zone).replace(tzinfo=None)
        # NCRONTAB wants both the day of the month and the day of the week to fit.
        found = croniter(self._fields, local, second_at_beginning=True, day_or=False).get_next(datetime)
        return found.replace(tzinfo=self._zone).timestamp()

    def is_monitored(self, now: float) -> bool:
        """Missed occurrences are made up for, unless they are less than a minute apart."""
        first = self.next(now)
        return self.next(first) - first >= 60
