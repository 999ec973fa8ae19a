"""How the clients of storage send and try again: briefly while somebody waits for an answer, else with patience."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

from azure.core.pipeline.policies import AsyncRetryPolicy
from azure.core.pipeline.transport import AioHttpTransport
from azure.storage.blob.aio import ExponentialRetry

from core.base.patience import patience

# For an activity: a service that is moved is back within seconds.
_CONNECT_SECONDS = 5
_READ_SECONDS = 30
_RETRIES = 4

# So long a caller waits at most for storage that answers others.
_BUSY_SECONDS = 10

# A loop that comes so late has not looked at answers that are there.
_STALL_SECONDS = 0.25

# Between two tries while somebody waits: a lost connection is mended at once, a restart takes longer anyway.
_LONGEST_PAUSE = 0.3

# A body takes its time to be sent; what is slower than this does not arrive.
_SLOWEST_BYTES_PER_SECOND = 256 * 1024


class Transport(AioHttpTransport):
    """Ends each try when the patience of the request does. `options` are those of the SDK's own transport."""

    def __init__(self, **options: Any) -> None:
        super().__init__(connection_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS, **options)
        self._answered_at = float("-inf")

    async def send(self, request: Any, **config: Any) -> Any:
        """Raises TimeoutError, which the SDK does not retry, when there is no patience left."""
        waiting = patience()
        if waiting is None:
            return await super().send(request, **config)
        left = waiting.left()
        sending = int(request.headers.get("Content-Length") or 0) / _SLOWEST_BYTES_PER_SECOND
        limits = {"connection_timeout": _BUSY_SECONDS, "read_timeout": _BUSY_SECONDS}
        call = asyncio.ensure_future(super().send(request, **{**config, **limits}))
        try:
            response = await self._answer(call, left + sending)
        finally:
            call.cancel()
        if response.status_code < 500:
            self._answered_at = time.monotonic()
            waiting.answered()
        return response

    async def _answer(self, call: asyncio.Future[Any], seconds: float) -> Any:
        """What the call comes to. Raises TimeoutError after `seconds` in which storage answered nobody.

        Where others are answered meanwhile storage is not away: it is busy, or this process is.
        """
        began = time.monotonic()
        while True:
            asked = time.monotonic()
            done, _ = await asyncio.wait({call}, timeout=seconds)
            if done:
                return call.result()
            now = time.monotonic()
            busy = self._answered_at > asked or now - asked > seconds + _STALL_SECONDS
            if not busy or now - began > _BUSY_SECONDS + seconds:
                raise TimeoutError("storage does not answer")


class BlobRetry(ExponentialRetry):
    """Tries again after 1, 3, 5 and 9 seconds; at once while somebody waits."""

    def __init__(self) -> None:
        super().__init__(initial_backoff=1, increment_base=2, retry_total=_RETRIES, random_jitter_range=1)

    def get_backoff_time(self, settings: dict[str, Any]) -> float:
        return super().get_backoff_time(settings) if patience() is None else random.uniform(0, _LONGEST_PAUSE)


class TableRetry(AsyncRetryPolicy[Any, Any]):
    """As BlobRetry. The SDK retries no POST and no PATCH: see `core.base.tables`."""

    def __init__(self) -> None:
        super().__init__(retry_total=_RETRIES, retry_backoff_factor=0.8)

    def get_backoff_time(self, settings: dict[str, Any]) -> float:
        return super().get_backoff_time(settings) if patience() is None else random.uniform(0, _LONGEST_PAUSE)

    async def sleep(self, settings: dict[str, Any], transport: Any, response: Any = None) -> None:
        """Storage may ask to be left alone for longer than somebody waits."""
        await super().sleep(settings, transport, response if patience() is None else None)
