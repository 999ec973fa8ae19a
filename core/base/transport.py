"""How the clients of storage send and try again: briefly while somebody waits for an answer, else with patience."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from azure.core.pipeline.policies import AsyncRetryPolicy
from azure.core.pipeline.transport import AioHttpTransport
from azure.storage.blob.aio import ExponentialRetry

from core.base.patience import patience

# For an activity: a service that is moved is back within seconds.
_CONNECT_SECONDS = 5
_READ_SECONDS = 30
_RETRIES = 4

# Between two tries while somebody waits: a lost connection is mended at once, a restart takes longer anyway.
_LONGEST_PAUSE = 0.3

# A body takes its time to be sent; what is slower than this does not arrive.
_SLOWEST_BYTES_PER_SECOND = 256 * 1024


class Transport(AioHttpTransport):
    """Ends each try when the patience of the request does. `options` are those of the SDK's own transport."""

    def __init__(self, **options: Any) -> None:
        super().__init__(connection_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS, **options)

    async def send(self, request: Any, **config: Any) -> Any:
        """Raises TimeoutError, which the SDK does not retry, when there is no patience left."""
        waiting = patience()
        if waiting is None:
            return await super().send(request, **config)
        left = waiting.left()
        sending = int(request.headers.get("Content-Length") or 0) / _SLOWEST_BYTES_PER_SECOND
        async with asyncio.timeout(left + sending):
            response = await super().send(request, **{**config, "connection_timeout": left, "read_timeout": left})
        if response.status_code < 500:
            waiting.answered()
        return response


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
