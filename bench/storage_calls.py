"""What the app asks of its storage: calls counted on the wire, between a running backend and Azurite."""

from __future__ import annotations

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

REQUEST = re.compile(rb"(GET|PUT|POST|DELETE|HEAD|PATCH|MERGE) (\S+) HTTP/1\.1\r\n")
# The stand-in host's own calls; a real host's are other ones.
HOSTS = re.compile(rb"webjobs|comp=list")


class Relay:
    """Passes bytes on between a port and another, and counts the requests that go through, by method."""

    def __init__(self, port: int, target: int, calls: Counter[str]) -> None:
        self._port, self._target, self._calls = port, target, calls

    async def serve(self) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", self._port)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        await asyncio.gather(self._pass(reader, far_writer, True), self._pass(far_reader, writer, False))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counted: bool) -> None:
        try:
            while data := await reader.read(65536):
                if counted:
                    for method, path in REQUEST.findall(data):
                        if not HOSTS.search(path):
                            self._calls[method.decode()] += 1
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@contextmanager
def counting(ports: dict[int, int], calls: Counter[str]) -> Iterator[None]:
    """A relay from each port to its target; `calls` grows while the block runs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    for port, target in ports.items():
        relay = Relay(port, target, calls)
        asyncio.run_coroutine_threadsafe(relay.serve(), loop).result(10)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
