"""The parent's handle of one child process: calls, cancels and kills it."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import psutil

from core.keras_worker.errors import ChildDied, ChildFailed, ChildOutOfMemory, ChildTimedOut, Refused

# A prediction's rows travel on one line.
LONGEST_LINE = 512 * 1024 * 1024

OnEvent = Callable[[dict[str, Any]], Awaitable[None]]


class Child:
    """A running child. One call at a time; whatever ends a call early ends the process too."""

    def __init__(
        self,
        kind: str,
        key: str | None,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        pid: int,
        process: asyncio.subprocess.Process | None = None,
    ) -> None:
        self.kind = kind
        self.key = key
        self.pid = pid
        self.idle_since = time.monotonic()
        self.idle_seconds: float | None = None
        self._reader, self._writer = streams
        # Held only to be kept: asyncio kills a process whose handle is collected.
        self._subprocess = process
        self._calls = 0
        self._running = False
        self._over_memory = False
        try:
            # Knows the start time as well as the pid, so a pid given to another process is never killed.
            self._process: psutil.Process | None = psutil.Process(pid)
        except psutil.NoSuchProcess:
            self._process = None

    @property
    def usable(self) -> bool:
        """Idle and with an open channel, so that it can take another call."""
        return not self._running and not self._reader.at_eof() and not self._writer.is_closing()

    async def call(
        self,
        command: str,
        arguments: dict[str, Any],
        on_event: OnEvent | None = None,
        seconds: float | None = None,
    ) -> dict[str, Any]:
        """Runs one command and returns its result.

        `on_event` is awaited for each event, in order. `seconds` limits the whole call. Raises Refused,
        ChildFailed, ChildDied, ChildOutOfMemory or ChildTimedOut. When the caller is cancelled, or `on_event`
        raises, the child is killed: nobody would read its answer.
        """
        if self._running:
            raise RuntimeError("A child takes one call at a time.")
        self._running = True
        self._calls += 1
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                await self._send({"number": self._calls, "command": command, "arguments": arguments})
                answer = await self._answer(on_event)
        except TimeoutError as error:
            self.kill()
            if limit.expired():
                raise ChildTimedOut(f"'{command}' took longer than {seconds:g} seconds.") from error
            raise
        except BaseException:
            self.kill()
            raise
        self._running = False
        self.idle_since = time.monotonic()
        if "result" in answer:
            return answer["result"]
        if "refused" in answer:
            raise Refused(answer["refused"])
        if "out_of_memory" in answer:
            self.kill()
            raise ChildOutOfMemory("There was not enough memory.")
        raise ChildFailed(answer["failed"], answer["detail"])

    async def cancel(self) -> None:
        """Tells the running command to end; its call then returns what it has. Harmless when nothing runs."""
        if self._running:
            try:
                await self._send({"cancel": self._calls})
            except ChildDied:
                return  # the call itself reports it

    async def close(self, seconds: float = 5.0) -> None:
        """Closes the channel, at which the child ends by itself; kills it if it has not after `seconds`."""
        self._writer.close()
        if not await self._gone(seconds):
            self.kill()
            await self._gone(seconds)

    def kill(self) -> None:
        """Ends the process at once. The running call, if any, raises ChildDied."""
        if self._process is not None:
            try:
                self._process.kill()
            except psutil.NoSuchProcess:
                self._process = None
        self._writer.close()

    def enforce_memory_limit(self, limit_bytes: int) -> None:
        """Kills the child if its memory is over the limit; its call then raises ChildOutOfMemory."""
        if self.memory_bytes() > limit_bytes:
            self._over_memory = True
            self.kill()

    def memory_bytes(self) -> int:
        """Anonymous memory: pages of mapped files belong to the page cache and can be dropped by the system."""
        if self._process is None:
            return 0
        try:
            memory = self._process.memory_info()
        except psutil.NoSuchProcess:
            return 0
        return memory.rss - getattr(memory, "shared", 0)

    async def _answer(self, on_event: OnEvent | None) -> dict[str, Any]:
        while True:
            message = await self._receive()
            if "event" not in message:
                return message
            if on_event is not None:
                await on_event(message)

    async def _send(self, message: dict[str, Any]) -> None:
        try:
            self._writer.write(json.dumps(message).encode() + b"\n")
            await self._writer.drain()
        except (ConnectionError, RuntimeError) as error:
            raise self._death() from error

    async def _receive(self) -> dict[str, Any]:
        try:
            line = await self._reader.readline()
        except ConnectionError as error:
            raise self._death() from error
        if not line.endswith(b"\n"):
            raise self._death()
        return json.loads(line)

    def _death(self) -> ChildDied:
        if self._over_memory:
            return ChildOutOfMemory("The process passed its memory limit and was stopped.")
        return ChildDied("The process that ran Keras ended unexpectedly.")

    async def _gone(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self._alive():
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.01)
        return True

    def _alive(self) -> bool:
        if self._process is None:
            return False
        try:
            # A process whose first thread has ended is a zombie already; until the last one ends it holds its channel.
            zombie = self._process.status() == psutil.STATUS_ZOMBIE
            return self._process.is_running() and not (zombie and self._process.num_threads() <= 1)
        except psutil.NoSuchProcess:
            return False
