"""One worker process as the host sees it: started, called over its standard streams, stopped."""

import asyncio
import json
import os
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from devhost import frames
from devhost.errors import HostError, InvocationFailed, WorkerGone
from devhost.frames import Body, Header

_DRAIN_SECONDS = 3.0
_ROOT = str(Path(__file__).resolve().parent.parent)
# The worker must not inherit a path to this package: the app could import it, and then depend on it.
_START = f"import sys; sys.path[0] = {_ROOT!r}\nfrom devhost.worker.process import main\nsys.path.pop(0); main()"


class WorkerProcess:
    """A process with the app in it; `on_exit` is called when it has ended, for whatever reason."""

    def __init__(self, on_exit: Callable[[], None]) -> None:
        self._on_exit = on_exit
        self._waiting: dict[str, asyncio.Future[tuple[Header, Body]]] = {}
        self._gone = ""

    async def start(self, config: Header, environment: dict[str, str]) -> list[dict[str, Any]]:
        """Starts the process; the functions that it has indexed. Raises HostError when it cannot."""
        self._bodies: str = config["bodies"]
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _START),
            cwd=config["app"],
            env=environment,
            stdin=PIPE,
            stdout=PIPE,
            limit=2 * frames.LARGE,
            # Ctrl-C reaches the host alone, which then ends the worker in order.
            start_new_session=os.name == "posix",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        self._exit = asyncio.get_running_loop().create_task(self._watch(self._process))
        try:
            header, _ = await self.request(config | {"id": "index"})
        except InvocationFailed as error:
            raise HostError(f"the app could not be indexed: {error}") from error
        except asyncio.CancelledError:
            self.kill()
            raise
        return header["functions"]

    async def request(self, header: Header, body: bytes = b"") -> tuple[Header, Body]:
        """Sends a frame and waits for the one that answers it; raises InvocationFailed or WorkerGone."""
        pack, number = partial(frames.pack, header, body, self._bodies), header["id"]
        frame = await asyncio.to_thread(pack) if len(body) > frames.LARGE else pack()
        if self._gone:
            raise WorkerGone(self._gone)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._write(frame)
            header, content = await self._waiting[number]
        finally:
            del self._waiting[number]
        if "failed" in header:
            raise InvocationFailed(**json.loads(frames.content(content)))
        return header, content

    def _write(self, frame: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(frame)

    async def _watch(self, process: Process) -> None:
        reading = asyncio.get_running_loop().create_task(self._read(process))
        code = await process.wait()
        # What it had answered counts. Its own children may hold the pipe open: its end is not waited for.
        await asyncio.wait([reading], timeout=0.2)
        reading.cancel()
        shown = code if code >= 0 else 128 - code
        self._gone = f"python exited with code {shown} (0x{shown:X})"
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(WorkerGone(self._gone))
        self._on_exit()

    async def _read(self, process: Process) -> None:
        assert process.stdout is not None
        try:
            while frame := await frames.receive_async(process.stdout):
                future = self._waiting.get(frame[0]["id"])
                if future is not None and not future.done():
                    future.set_result(frame)
        except (ValueError, asyncio.IncompleteReadError):
            self.kill()  # Nothing that follows a broken frame can be read.

    def kill(self) -> None:
        """Ends the process at once; what it was running fails with WorkerGone."""
        if self._process.returncode is None:
            self._process.kill()

    async def stop(self) -> None:
        """Ends the process: asks, waits for running invocations a little, then kills."""
        if not self._gone:
            self._write(frames.pack({"id": "stop", "seconds": _DRAIN_SECONDS}, b"", self._bodies))
            await asyncio.wait([self._exit], timeout=_DRAIN_SECONDS + 1)
            self.kill()
        await self._exit

    async def retire(self, seconds: float) -> None:
        """Ends the process when no invocation is running, or after `seconds`."""
        if self._waiting:
            await asyncio.wait(self._waiting.values(), timeout=seconds)
        await self.stop()
