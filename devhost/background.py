"""Work that nobody awaits: kept, so that it is not collected, and heard of when it fails."""

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Any

_log = logging.getLogger("devhost")


class Background:
    """The running tasks of a host."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs `work` beside everything else."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("An error of devhost itself stopped a piece of its work.", exc_info=error)

    async def stop(self) -> None:
        """Cancels everything and waits for it."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def sleep_until(moment: float) -> None:
    """Sleeps until a time in Unix seconds. Never long at once: the machine may sleep too, or change its clock."""
    while (left := moment - time.time()) > 0:  # noqa: ASYNC110 - nothing announces that time has passed
        await asyncio.sleep(min(left, 30))
