"""A proxy between the app and Azurite that breaks a share of the calls, each in one of the ways networks do."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections import Counter
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientSession, ClientTimeout, web
from yarl import URL

from azurite.emulator import SERVICES
from devtools.ports import free_ports
from tests.harness import Storage

BROKEN = "broken on purpose"
FAULTS = ("reply lost", "delayed", "500", "503 done", "503 not done", "reset", "reply cut")
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "server", "date"}


@dataclass
class Faults:
    """What to break: `share` of the calls, chosen by `seed`; `seen` counts what was done to them."""

    seed: int
    share: float = 0.0
    longest_delay: float = 3.0
    seen: Counter[str] = field(default_factory=Counter[str])

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def next(self) -> str:
        fault = self._random.choice(FAULTS) if self._random.random() < self.share else "none"
        self.seen[fault] += 1
        return fault

    def delay(self) -> float:
        return self._random.uniform(0, self.longest_delay)


class FaultyStorage:
    """The three services of a storage account behind proxies on ports of their own.

    `storage` is the account as the app is to see it. The proxies run on a thread until `close`.
    """

    def __init__(self, storage: Storage, faults: Faults) -> None:
        self.faults = faults
        self._targets = {service: storage.emulator.endpoint(service, storage.account) for service in SERVICES}
        self._ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
        self.storage = copy(storage)
        for service, port in self._ports.items():
            old = storage.emulator.ports[SERVICES.index(service)]
            self.storage.connection_string = self.storage.connection_string.replace(f":{old}/", f":{port}/")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._runners: list[web.AppRunner] = []
        self._session: ClientSession
        self._in_loop(self._start())

    def close(self) -> None:
        self._in_loop(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _in_loop(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _start(self) -> None:
        # Azurite being away for a moment is one of the faults that tests make.
        self._session = ClientSession(auto_decompress=False, timeout=ClientTimeout(total=60))
        for service, port in self._ports.items():
            app = web.Application(client_max_size=2**30)
            app.router.add_route("*", "/{path:.*}", self._handler(service))
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            self._runners.append(runner)
            await web.TCPSite(runner, "127.0.0.1", port).start()

    async def _stop(self) -> None:
        for runner in self._runners:
            await runner.cleanup()
        await self._session.close()

    def _handler(self, service: str) -> Any:
        target = self._targets[service].rsplit("/", 1)[0]

        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._answer(request, target)

        return handle

    async def _answer(self, request: web.Request, target: str) -> web.StreamResponse:
        fault, body = self.faults.next(), await request.read()
        if fault == "reset":
            return _reset(request)
        if fault == "delayed":
            await asyncio.sleep(self.faults.delay())
        if fault in ("500", "503 not done"):
            return web.Response(status=int(fault[:3]), text=BROKEN)
        try:
            status, headers, content = await self._forward(request, target, body)
        except OSError:
            return _reset(request)
        if fault == "503 done":
            return web.Response(status=503, text=BROKEN)
        if fault == "reply lost":
            return _reset(request)
        if fault == "reply cut" and len(content) > 1:
            return await _cut(request, status, headers, content)
        answer = web.Response(status=status, headers=headers, body=content)
        if request.method == "HEAD" and "x-length" in headers:
            answer.headers["Content-Length"] = answer.headers.pop("x-length")
        return answer

    async def _forward(self, request: web.Request, target: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        # The path as it came, byte for byte: the signature is over it.
        url = URL(f"{target}{request.raw_path}", encoded=True)
        sent = {key: value for key, value in request.headers.items() if key.lower() != "transfer-encoding"}
        async with self._session.request(
            request.method, url, headers=sent, data=body, allow_redirects=False, skip_auto_headers=["Content-Type"]
        ) as answer:
            content = await answer.read()
            headers = {key: value for key, value in answer.headers.items() if key.lower() not in _HOP_BY_HOP}
            if request.method == "HEAD" and "Content-Length" in answer.headers:
                headers["x-length"] = answer.headers["Content-Length"]
            return answer.status, headers, content


def _reset(request: web.Request) -> web.Response:
    """Ends the connection with RST; what is returned goes nowhere."""
    transport = request.transport
    assert transport is not None
    connection: socket.socket = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    return web.Response()


async def _cut(request: web.Request, status: int, headers: dict[str, str], content: bytes) -> web.StreamResponse:
    answer = web.StreamResponse(status=status, headers=headers)
    answer.content_length = len(content)
    await answer.prepare(request)
    await answer.write(content[: len(content) // 2])
    assert request.transport is not None
    request.transport.close()
    return answer
