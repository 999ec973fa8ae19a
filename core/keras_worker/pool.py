"""The parent's pool of child processes: starts them, keeps idle ones for their key, and limits their memory."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Literal

from core.keras_worker.child import Child
from core.keras_worker.errors import ChildDied
from core.keras_worker.launch import ForkLauncher, Launcher, SpawnLauncher

Start = Literal["fork", "spawn"]

_WATCH_SECONDS = 0.25  # a child that allocates a gigabyte a second is caught within a quarter of one


def default_start() -> Start:
    """Fork where that is safe. On macOS the system's own libraries do not survive a fork without an exec."""
    return "fork" if sys.platform == "linux" else "spawn"


def usable_cores() -> int:
    """Cores this process may run on, which in a container can be fewer than the machine has."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class PoolOptions:
    """`memory_limit_bytes`: anonymous memory of one child, 0 for no limit. `idle_seconds`: how long an idle child
    waits for its key to come back, where its caller names no other time. `keep`: how many such children wait at most.
    `threads`: what callers should pass to commands that train, recorded with the job because results depend on it."""

    start: Start = field(default_factory=default_start)
    memory_limit_bytes: int = 0
    idle_seconds: float = 60.0
    keep: int = 2
    threads: int = field(default_factory=usable_cores)


class ChildPool:
    """Children of all kinds: "tensorflow", "numpy", and "none" without Keras. Belongs to one event loop."""

    def __init__(self, options: PoolOptions | None = None) -> None:
        self.options = options or PoolOptions()
        self._launchers: dict[str, Launcher] = {}
        self._busy: set[Child] = set()
        self._idle: list[Child] = []
        self._endings: set[asyncio.Task[None]] = set()
        self._watch: asyncio.Task[None] | None = None
        self._closed = False
        # Whether the last attempt to start a child was in vain.
        self.failing = False

    @contextlib.asynccontextmanager
    async def child(self, kind: str, key: str | None = None, idle_seconds: float | None = None) -> AsyncIterator[Child]:
        """A child of this kind for the body of the `async with`.

        With a `key`, an idle child that served the same key is taken again, and afterwards kept for it: for
        `idle_seconds`, whatever other children wait, or as the options say. Raises ChildDied if no process can be
        started.
        """
        if self._closed:
            raise RuntimeError("The pool is closed.")
        child = self._take_idle(kind, key) or await self._start(kind, key)
        child.idle_seconds = idle_seconds
        self._busy.add(child)
        self._start_watching()
        try:
            yield child
        finally:
            self._busy.discard(child)
            self._put_back(child)

    async def _start(self, kind: str, key: str | None) -> Child:
        try:
            child = await self._launcher(kind).start(key)
        except ChildDied:
            self.failing = True
            raise
        self.failing = False
        return child

    async def warm(self, kind: str) -> None:
        """Makes the next start of a child of this kind quick: afterwards its fork server has imported Keras."""
        await self._launcher(kind).warm()

    async def release(self, key: str) -> None:
        """Ends the idle children kept for this key, when it is known that it will not come back."""
        released = [child for child in self._idle if child.key == key]
        self._idle = [child for child in self._idle if child.key != key]
        await asyncio.gather(*(child.close() for child in released))

    async def close(self) -> None:
        """Ends every child, busy ones included, and the fork servers; returns when the processes are gone."""
        self._closed = True
        if self._watch is not None:
            self._watch.cancel()
        children = [*self._busy, *self._idle]
        self._idle.clear()
        for child in self._busy:
            child.kill()
        await asyncio.gather(*(child.close() for child in children), *self._endings)
        await asyncio.gather(*(launcher.close() for launcher in self._launchers.values()))

    def state(self) -> dict[str, Any]:
        """Counts and pids, for health and for tests."""
        return {
            "start": self.options.start,
            "servers": {kind: launcher.server_pid for kind, launcher in self._launchers.items()},
            "busy": [_describe(child) for child in self._busy],
            "idle": [_describe(child) for child in self._idle],
        }

    def _launcher(self, kind: str) -> Launcher:
        if kind not in self._launchers:
            self._launchers[kind] = ForkLauncher(kind) if self.options.start == "fork" else SpawnLauncher(kind)
        return self._launchers[kind]

    def _take_idle(self, kind: str, key: str | None) -> Child | None:
        for child in self._idle:
            if key is not None and child.kind == kind and child.key == key and child.usable:
                self._idle.remove(child)
                return child
        return None

    def _put_back(self, child: Child) -> None:
        if self._closed or child.key is None or not child.usable:
            self._end(child)
            return
        child.idle_since = time.monotonic()
        self._idle.append(child)
        crowd = [child for child in self._idle if child.idle_seconds is None]
        for oldest in crowd[: max(0, len(crowd) - self.options.keep)]:
            self._idle.remove(oldest)
            self._end(oldest)

    def _end(self, child: Child) -> None:
        ending = asyncio.ensure_future(child.close())
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)

    def _start_watching(self) -> None:
        if self._watch is None or self._watch.done():
            self._watch = asyncio.ensure_future(self._watch_children())

    async def _watch_children(self) -> None:
        while self._busy or self._idle:
            await asyncio.sleep(_WATCH_SECONDS)
            if self.options.memory_limit_bytes:
                for child in self._busy:
                    child.enforce_memory_limit(self.options.memory_limit_bytes)
            for child in [child for child in self._idle if self._waited_enough(child) or not child.usable]:
                self._idle.remove(child)
                self._end(child)

    def _waited_enough(self, child: Child) -> bool:
        patience = self.options.idle_seconds if child.idle_seconds is None else child.idle_seconds
        return time.monotonic() - child.idle_since > patience


def _describe(child: Child) -> dict[str, Any]:
    return {"pid": child.pid, "kind": child.kind, "key": child.key}
