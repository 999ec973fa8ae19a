"""How a child process comes to be: forked from a server that has imported Keras, or started from nothing."""

import asyncio
import json
import socket
import subprocess
from typing import Protocol

from core.keras_worker.child import LONGEST_LINE, Child
from core.keras_worker.environment import child_command, child_environment
from core.keras_worker.errors import ChildDied

_START_SECONDS = 120.0  # a cold start of TensorFlow on a busy small instance takes up to a minute


class Launcher(Protocol):
    """One way to start children of one kind."""

    @property
    def server_pid(self) -> int | None: ...

    async def warm(self) -> None: ...

    async def start(self, key: str | None) -> Child: ...

    async def close(self) -> None: ...


class SpawnLauncher:
    """Each child is an interpreter of its own, spoken to over its standard streams."""

    server_pid = None

    def __init__(self, kind: str) -> None:
        self._kind = kind

    async def warm(self) -> None:
        """Nothing can be made ready beforehand."""

    async def start(self, key: str | None) -> Child:
        process = await asyncio.create_subprocess_exec(
            *child_command("child", self._kind),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=child_environment(self._kind),
            limit=LONGEST_LINE,
        )
        assert process.stdin is not None and process.stdout is not None
        streams = (process.stdout, process.stdin)
        return Child(self._kind, key, streams, await _pid_when_ready(*streams), process)

    async def close(self) -> None:
        """Children belong to the pool; there is nothing else to end."""


class ForkLauncher:
    """Children are forked by a server process; each gets its end of a socket pair by SCM_RIGHTS."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._starting = asyncio.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None

    @property
    def server_pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    async def warm(self) -> None:
        """Starts the server if it is not running, and returns when it has imported Keras."""
        await self._server()

    async def start(self, key: str | None) -> Child:
        try:
            return await self._fork(key)
        except ChildDied:
            # The server may have been killed since it was last used; a fresh one gets one chance.
            return await self._fork(key)

    async def close(self) -> None:
        async with self._starting:
            await self._stop_server()

    async def _fork(self, key: str | None) -> Child:
        server = await self._server()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(server, [b"F"], [theirs.fileno()])
            except OSError as error:
                ours.close()
                await self._discard(server)
                raise ChildDied("The fork server has ended.") from error
        ours.setblocking(False)
        streams = await asyncio.open_connection(sock=ours, limit=LONGEST_LINE)
        try:
            return Child(self._kind, key, streams, await _pid_when_ready(*streams))
        except ChildDied:
            await self._discard(server)
            raise

    async def _discard(self, server: socket.socket) -> None:
        """Ends this server, unless somebody else has put a new one in its place already."""
        async with self._starting:
            if self._channel is server:
                await self._stop_server()

    async def _server(self) -> socket.socket:
        async with self._starting:
            if self._channel is None or self.server_pid is None:
                await self._stop_server()
                await self._start_server()
            assert self._channel is not None
            return self._channel

    async def _start_server(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = self._popen(theirs.fileno())
        ours.setblocking(False)
        self._channel = ours
        try:
            async with asyncio.timeout(_START_SECONDS):
                ready = await asyncio.get_running_loop().sock_recv(ours, 64)
        except TimeoutError:
            ready = b""
        except BaseException:
            await self._stop_server()
            raise
        if not ready:
            await self._stop_server()
            raise ChildDied(f"The {self._kind} fork server did not start.")

    def _popen(self, channel: int) -> subprocess.Popen[bytes]:
        """Not asyncio's: its handle would need this loop to learn that the process has ended."""
        return subprocess.Popen(
            child_command("server", self._kind, "--channel", str(channel)),
            stdin=subprocess.DEVNULL,
            env=child_environment(self._kind),
            pass_fds=[channel],
        )

    async def _stop_server(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._process is not None:
            process, self._process = self._process, None
            # It holds no state: killing is as good as waiting for it to notice the closed socket.
            process.kill()
            await asyncio.to_thread(process.wait)


async def _pid_when_ready(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    """Waits for the first line of a new child; a child that is late ends when its channel is closed here."""
    try:
        async with asyncio.timeout(_START_SECONDS):
            line = await reader.readline()
    except (TimeoutError, ConnectionError):
        line = b""
    except BaseException:
        writer.close()
        raise
    if not line.endswith(b"\n"):
        writer.close()
        raise ChildDied("A process for Keras could not be started.")
    return json.loads(line)["pid"]
