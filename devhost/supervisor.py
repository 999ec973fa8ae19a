"""Keeps a worker running: starts another after a crash, swaps it after an edit, ends it when it hangs."""

import asyncio
import logging
import uuid
from collections.abc import Callable
from typing import Any

from devhost.background import Background
from devhost.errors import HostError, InvocationFailed
from devhost.frames import Body, Header
from devhost.functions import Function, Functions
from devhost.settings import Settings
from devhost.worker_process import WorkerProcess

_log = logging.getLogger("devhost.worker")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 30.0
_HEALTHY_SECONDS = 30.0
_SWAP_SECONDS = 30.0


class Supervisor:
    """The one place that calls user code; callers wait while a crashed worker is being replaced.

    `config` is what a worker has to know; `use` is told the functions of every worker before it takes over."""

    def __init__(
        self, config: Header, settings: Settings, background: Background, use: Callable[[Functions], None]
    ) -> None:
        self._config, self._settings = config, settings
        self._background, self._use = background, use
        self._worker: WorkerProcess | None = None
        self._ready = asyncio.Event()
        self._pause = _FIRST_PAUSE
        self._since = 0.0

    async def start(self) -> None:
        """Starts a worker, which takes the place of the present one; raises HostError if it cannot serve."""
        worker = WorkerProcess(lambda: self._ended(worker))
        described = await worker.start(self._config, self._settings.environment)
        try:
            self._use(Functions(described, self._settings))
        except HostError:
            await worker.stop()
            raise
        old, self._worker = self._worker, worker
        self._since = asyncio.get_running_loop().time()
        self._ready.set()
        if old is not None:
            self._background.start(old.retire(_SWAP_SECONDS))

    def _ended(self, worker: WorkerProcess) -> None:
        if worker is self._worker:
            self._ready.clear()
            _log.error("The worker process ended unexpectedly; starting a new one.")
            self._background.start(self._restart())

    async def _restart(self) -> None:
        if asyncio.get_running_loop().time() - self._since > _HEALTHY_SECONDS:
            self._pause = _FIRST_PAUSE
        while not self._ready.is_set():
            await asyncio.sleep(self._pause)
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
            await self.reload()

    async def reload(self) -> None:
        """Takes the code as it is now; the code before stays in use when that cannot be indexed."""
        try:
            await self.start()
            _log.info("The app was loaded again.")
        except HostError as error:
            _log.error("%s The code before stays in use.", error)

    async def call(self, function: Function, body: bytes = b"", **facts: Any) -> tuple[Header, Body]:
        """Runs a function; `facts` are what its trigger tells beside the body. Raises InvocationFailed."""
        await self._ready.wait()
        worker = self._worker
        assert worker is not None
        invocation = str(uuid.uuid4())
        try:
            async with asyncio.timeout(self._settings.timeout):
                return await worker.request({"id": invocation, "function": function.name, **facts}, body)
        except TimeoutError:
            # As in the real host: user code cannot be interrupted, so its process has to go.
            if worker is self._worker:
                self._ready.clear()
            worker.kill()
            failure = InvocationFailed(
                f"Timeout value of {self._settings.timeout_text} exceeded by function 'Functions.{function.name}' "
                f"(Id: '{invocation}'). Initiating cancellation."
            )
        except InvocationFailed as error:
            failure = error
        if function.kind != "orchestrationtrigger":  # Its status tells what happened to it.
            _log.error("Executed 'Functions.%s' (Failed): %s", function.name, failure.stack or failure)
        raise failure

    async def stop(self) -> None:
        """Ends the worker."""
        worker, self._worker = self._worker, None
        if worker is not None:
            await worker.stop()
