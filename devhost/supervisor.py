"""Keeps a worker running: starts it, restarts it after a crash, swaps it after an edit, ends it when hung."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from devhost.background import Background
from devhost.errors import HostError, InvocationTimedOut
from devhost.functions import Function, Functions
from devhost.host_file import HostFile
from devhost.link import Header
from devhost.settings import Settings
from devhost.worker_process import Reply, WorkerProcess

_log = logging.getLogger("devhost.worker")

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 30.0
_HEALTHY_SECONDS = 30.0
_SWAP_SECONDS = 30.0


class Supervisor:
    """The one place that calls user code; callers wait while a crashed worker is being replaced."""

    def __init__(self, app_dir: Path, host_file: HostFile, settings: Settings, durable_client: Header) -> None:
        self._app_dir = app_dir
        self._host_file = host_file
        self._settings = settings
        self._durable_client = durable_client
        self._worker: WorkerProcess | None = None
        self._ready = asyncio.Event()
        self._pause = _FIRST_PAUSE
        self._started = 0.0
        self._background = Background()
        self.on_functions: Callable[[Functions], Awaitable[None]] | None = None

    async def start(self) -> Functions:
        """Starts the first worker; raises HostError when the app cannot be indexed."""
        worker, functions = await self._launch()
        self._take(worker)
        return functions

    async def _launch(self) -> tuple[WorkerProcess, Functions]:
        config: dict[str, Any] = {
            "app": str(self._app_dir),
            "log_levels": self._host_file.log_levels,
            "durable_client": self._durable_client,
        }
        worker = WorkerProcess(self._app_dir, config, self._settings.environment)
        descriptions = await worker.start()
        try:
            return worker, Functions.from_descriptions(descriptions, self._settings)
        except HostError:
            await worker.stop()
            raise

    def _take(self, worker: WorkerProcess) -> None:
        self._worker = worker
        self._started = asyncio.get_running_loop().time()
        worker.on_exit = lambda: self._crashed(worker)
        self._ready.set()

    def _crashed(self, worker: WorkerProcess) -> None:
        if worker is not self._worker:
            return
        self._ready.clear()
        _log.error("The worker process ended unexpectedly; starting a new one.")
        self._background.start(self._restart())

    async def _restart(self) -> None:
        if asyncio.get_running_loop().time() - self._started > _HEALTHY_SECONDS:
            self._pause = _FIRST_PAUSE
        while True:
            await asyncio.sleep(self._pause)
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
            try:
                worker, functions = await self._launch()
            except HostError as error:
                _log.error("%s", error)
                continue
            if self._ready.is_set():
                # A reload was faster.
                await worker.stop()
                return
            self._take(worker)
            if self.on_functions is not None:
                await self.on_functions(functions)
            return

    async def reload(self) -> None:
        """Swaps the worker for one with the code as it is now; keeps the old one when indexing fails."""
        try:
            worker, functions = await self._launch()
        except HostError as error:
            _log.error("%s The code before the change stays in use.", error)
            return
        old, self._worker = self._worker, None
        self._take(worker)
        if self.on_functions is not None:
            await self.on_functions(functions)
        _log.info("The app was reloaded.")
        if old is not None:
            self._background.start(self._retire(old))

    async def _retire(self, worker: WorkerProcess) -> None:
        await worker.idle(_SWAP_SECONDS)
        await worker.stop()

    async def call(self, function: Function, header: Header, body: bytes | bytearray = b"") -> Reply:
        """Runs a function; raises InvocationFailed, InvocationTimedOut or WorkerGone."""
        if not self._ready.is_set():
            await self._ready.wait()
        worker = self._worker
        assert worker is not None
        if self._host_file.function_timeout is None:
            return await worker.call(function.name, header, body)
        header.setdefault("invocation", str(uuid.uuid4()))
        try:
            async with asyncio.timeout(self._host_file.function_timeout):
                return await worker.call(function.name, header, body)
        except TimeoutError:
            # As in the real host: user code cannot be interrupted, so its process has to go.
            if worker is self._worker and self._ready.is_set():
                self._ready.clear()
                self._background.start(self._replace(worker))
            message = (
                f"Timeout value of {self._host_file.function_timeout_text} exceeded by function "
                f"'Functions.{function.name}' (Id: '{header['invocation']}'). Initiating cancellation."
            )
            _log.error("%s", message)
            raise InvocationTimedOut("FunctionTimeoutException", message, "") from None

    async def _replace(self, worker: WorkerProcess) -> None:
        worker.on_exit = None
        worker.kill()
        await self._restart()

    async def stop(self) -> None:
        """Ends the worker and everything that would start another."""
        self._ready.clear()
        await self._background.stop()
        if self._worker is not None:
            await self._worker.stop()
