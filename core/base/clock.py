"""Time and ids, given to whoever needs them, so that tests can give others."""

from __future__ import annotations

import secrets
import time
import uuid
from datetime import UTC, datetime

_LAST_TICK = (1 << 48) - 1


def now() -> datetime:
    return datetime.now(UTC)


def timestamp(moment: datetime) -> str:
    """ISO-8601 UTC with microseconds and `Z`, as every timestamp in the API."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def new_id() -> str:
    """A random UUID (version 4)."""
    return str(uuid.uuid4())


def newest_first_id() -> str:
    """A UUID (version 8, RFC 9562) whose text sorts newest first.

    Its first 48 bits are the milliseconds until the year 10889, the rest but version and variant is
    random, so the natural order of row keys in a partition is the order in which lists are shown.
    """
    ticks = _LAST_TICK - time.time_ns() // 1_000_000
    value = (ticks << 80) | secrets.randbits(80)
    value = value & ~(0xF << 76) | (0x8 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    return str(uuid.UUID(int=value))
