"""Frames between host and worker: a length-prefixed JSON header followed by a raw body.

Two connections make one link, so that a small frame never waits behind a large one. Both ends use it."""

import asyncio
import json
import struct
from collections.abc import Callable
from typing import Any

Header = dict[str, Any]
Receive = Callable[[Header, bytes | bytearray], None]

LARGE_BODY = 64 * 1024
_CHUNK = 256 * 1024
_PREFIX = struct.Struct("!IQ")


class FrameProtocol(asyncio.BufferedProtocol):
    """Parses frames out of a connection; a large body is received straight into its own buffer."""

    def __init__(self, received: Receive, lost: Callable[[], None]) -> None:
        self._received = received
        self._lost = lost
        self._buffer = bytearray(_CHUNK)
        self._filled = 0
        self._body = bytearray()
        self._body_filled = 0
        self._body_header: Header | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._turn = asyncio.Lock()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._writable.set()
        self._lost()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._body_header is not None:
            return memoryview(self._body)[self._body_filled :]
        return memoryview(self._buffer)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        if self._body_header is None:
            self._filled += nbytes
            self._parse()
            return
        self._body_filled += nbytes
        if self._body_filled == len(self._body):
            header, body = self._body_header, self._body
            self._body_header, self._body = None, bytearray()
            self._received(header, body)

    def _parse(self) -> None:
        start = 0
        while self._filled - start >= _PREFIX.size:
            header_size, body_size = _PREFIX.unpack_from(self._buffer, start)
            body_start = start + _PREFIX.size + header_size
            if body_start > self._filled:
                self._make_room(start, _PREFIX.size + header_size)
                return
            header = json.loads(self._buffer[start + _PREFIX.size : body_start])
            end = body_start + body_size
            if end > self._filled and body_size > LARGE_BODY:
                self._body = bytearray(body_size)
                self._body_filled = self._filled - body_start
                self._body[: self._body_filled] = self._buffer[body_start : self._filled]
                self._body_header, self._filled = header, 0
                return
            if end > self._filled:
                self._make_room(start, end - start)
                return
            self._received(header, bytes(self._buffer[body_start:end]))
            start = end
        self._make_room(start, _PREFIX.size)

    def _make_room(self, start: int, needed: int) -> None:
        """Moves the unparsed rest to the front and grows the buffer for a frame of `needed` bytes."""
        rest = self._buffer[start : self._filled]
        if needed > len(self._buffer):
            self._buffer = bytearray(needed + _CHUNK)
        self._buffer[: len(rest)] = rest
        self._filled = len(rest)

    def write(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)

    async def write_large(self, head: bytes, body: bytes | bytearray | memoryview) -> None:
        """Writes in pieces and waits for the reader, so that a large body is never held a second time."""
        view = memoryview(body)
        async with self._turn:
            self.write(head)
            for start in range(0, len(view), _CHUNK):
                await self._writable.wait()
                if self.transport is None:
                    return
                self.transport.write(view[start : start + _CHUNK])

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()


class Link:
    """The two connections between one host and one worker."""

    def __init__(self, light: FrameProtocol, heavy: FrameProtocol) -> None:
        self._light = light
        self._heavy = heavy

    def send(self, header: Header, body: bytes | bytearray = b"") -> asyncio.Task[None] | None:
        """Sends a frame; for a large one a task is returned that ends when it is written."""
        text = json.dumps(header, separators=(",", ":")).encode()
        head = _PREFIX.pack(len(text), len(body)) + text
        if len(body) > LARGE_BODY:
            return asyncio.get_running_loop().create_task(self._heavy.write_large(head, body))
        self._light.write(head + body)
        return None

    def close(self) -> None:
        self._light.close()
        self._heavy.close()


def encode(header: Header) -> bytes:
    """One frame without a body, as bytes: the greeting of a new connection."""
    text = json.dumps(header).encode()
    return _PREFIX.pack(len(text), 0) + text
