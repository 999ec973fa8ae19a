"""The worker process as the host sees it: started, called over its link, watched, stopped."""

import asyncio
import json
import os
import secrets
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from devhost.errors import HostError, InvocationFailed, WorkerGone
from devhost.link import FrameProtocol, Header, Link

Reply = tuple[Header, bytes | bytearray]

_INDEX_SECONDS = 300.0
_DRAIN_SECONDS = 3.0
# The worker must not inherit a path to this package: the app could import it, and then depend on it.
_START = "import sys; sys.path[0] = {root!r}\nfrom devhost.worker.process import main\nsys.path.pop(0); main()"


class WorkerProcess:
    """One worker process. `start` returns when the app is indexed; `on_exit` tells of an unexpected end."""

    def __init__(self, app_dir: Path, config: dict[str, Any], environment: dict[str, str]) -> None:
        self._app_dir = app_dir
        self._config = config
        self._environment = environment
        self._token = secrets.token_hex(16)
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._last_id = 0
        self._lanes: dict[str, FrameProtocol] = {}
        self._link: Link | None = None
        self._greeting: Header | None = None
        self._indexed: asyncio.Future[Header] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._exit: asyncio.Task[None] | None = None
        self._stopping = False
        self.on_exit: Callable[[], None] | None = None

    async def idle(self, seconds: float) -> None:
        """Waits until no invocation is running, at most `seconds`."""
        if self._waiting:
            await asyncio.wait(list(self._waiting.values()), timeout=seconds)

    async def start(self) -> list[dict[str, Any]]:
        """Starts the process; returns the descriptions of the functions, raises HostError."""
        loop = asyncio.get_running_loop()
        self._indexed = loop.create_future()
        server = await loop.create_server(self._accept, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        self._process = self._spawn(port)
        self._exit = loop.create_task(self._watch(self._process))
        try:
            async with asyncio.timeout(_INDEX_SECONDS):
                greeting = await self._indexed
        except TimeoutError:
            await self.stop()
            raise HostError(f"the app was not indexed within {_INDEX_SECONDS:.0f} s.") from None
        except asyncio.CancelledError:
            self.kill()
            raise
        finally:
            server.close()
        if greeting["op"] == "failed":
            await self.stop()
            raise HostError(greeting["message"])
        return greeting["functions"]

    def _spawn(self, port: int) -> subprocess.Popen[bytes]:
        root = str(Path(__file__).resolve().parent.parent)
        process = subprocess.Popen(
            [sys.executable, "-c", _START.format(root=root)],
            cwd=self._app_dir,
            env=self._environment,
            stdin=subprocess.PIPE,
            # The host's standard output holds one line for scripts to read; prints of user code are logs.
            stdout=2,
            # Ctrl-C reaches the host alone, which then ends the worker in order.
            start_new_session=os.name == "posix",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        assert process.stdin is not None
        config = self._config | {"port": port, "token": self._token, "drain_seconds": _DRAIN_SECONDS}
        process.stdin.write(json.dumps(config).encode() + b"\n")
        process.stdin.flush()
        return process

    def _accept(self) -> FrameProtocol:
        def received(header: Header, body: bytes | bytearray) -> None:
            self._received(protocol, header, body)

        protocol = FrameProtocol(received, lambda: None)
        return protocol

    def _received(self, protocol: FrameProtocol, header: Header, body: bytes | bytearray) -> None:
        if header["op"] == "hello":
            if not secrets.compare_digest(header["token"], self._token):
                protocol.close()
                return
            transport = protocol.transport
            if transport is not None:
                transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._lanes[header["lane"]] = protocol
            self._greet()
        elif protocol not in self._lanes.values():
            protocol.close()
        elif header["op"] == "result":
            future = self._waiting.pop(header["id"], None)
            if future is not None and not future.done():
                future.set_result((header, body))
        else:
            self._greeting = header
            self._greet()

    def _greet(self) -> None:
        """The worker is usable when its greeting and both connections have come, in whatever order."""
        if len(self._lanes) < 2 or self._greeting is None or self._indexed is None or self._indexed.done():
            return
        self._link = Link(self._lanes["light"], self._lanes["heavy"])
        self._indexed.set_result(self._greeting)

    async def call(self, function: str, header: Header, body: bytes | bytearray = b"") -> Reply:
        """One invocation; raises InvocationFailed when user code did, WorkerGone when the process ended."""
        if self._link is None or self._stopping:
            raise WorkerGone("the worker process is not running")
        self._last_id += 1
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[self._last_id] = future
        frame = {"op": "invoke", "id": self._last_id, "function": function, **header}
        frame.setdefault("invocation", str(uuid.uuid4()))
        number = self._last_id
        try:
            self._link.send(frame, body)
            reply = await future
        finally:
            self._waiting.pop(number, None)
        error = reply[0].get("error")
        if error is not None:
            raise InvocationFailed(error["type"], error["message"], error["stack"])
        return reply

    async def _watch(self, process: subprocess.Popen[bytes]) -> None:
        code = await asyncio.get_running_loop().run_in_executor(None, process.wait)
        shown = code if code >= 0 else 128 - code
        message = f"python exited with code {shown} (0x{shown:X})"
        if self._link is not None:
            self._link.close()
        if self._indexed is not None and not self._indexed.done():
            self._indexed.set_result({"op": "failed", "message": f"the app could not be indexed: {message}."})
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(WorkerGone(message))
        self._waiting.clear()
        if not self._stopping and self.on_exit is not None:
            self.on_exit()

    def kill(self) -> None:
        """Ends the process at once; what it was running fails with WorkerGone."""
        if self._process is not None:
            self._process.kill()

    async def stop(self) -> None:
        """Ends the process: asks, waits for running invocations a little, then kills."""
        self._stopping = True
        process = self._process
        if process is None:
            return
        if self._link is not None:
            self._link.send({"op": "stop"})
        else:
            process.kill()
        await self.ended(_DRAIN_SECONDS + 1)

    async def ended(self, grace: float) -> None:
        """Waits until the process has ended and kills it after `grace` seconds."""
        assert self._process is not None
        assert self._exit is not None
        done, _ = await asyncio.wait([self._exit], timeout=grace)
        if not done:
            self._process.kill()
            await self._exit
        if self._process.stdin is not None:
            self._process.stdin.close()
