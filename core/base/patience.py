"""How long storage may keep somebody waiting.

A person who called is told within two seconds that storage is away. An activity, at work for minutes and
called again if it fails, waits as long as it takes a service to be moved.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from core.base.settings import settings


class Patience:
    """What is left for storage that does not answer. The count begins anew with each answer."""

    def __init__(self, seconds: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._since: float | None = None

    def left(self) -> float:
        """Seconds for the next try. Raises TimeoutError if there are none."""
        if self._since is None:
            self._since = self._clock()
        seconds = settings().storage_patience_seconds if self._seconds is None else self._seconds
        left = self._since + seconds - self._clock()
        if left <= 0:
            raise TimeoutError("storage does not answer")
        return left

    def answered(self) -> None:
        self._since = None


_patience: ContextVar[Patience | None] = ContextVar("patience", default=None)


def patience() -> Patience | None:
    """That of the request being answered; None where nobody waits for an answer."""
    return _patience.get()


@contextmanager
def limited_patience() -> Iterator[None]:
    token = _patience.set(Patience())
    try:
        yield
    finally:
        _patience.reset(token)
