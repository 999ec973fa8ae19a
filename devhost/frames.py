"""Frames between host and worker, over the worker's standard input and output: a line of JSON, then a body.

A body above `LARGE` bytes lies in a file instead, so that no frame waits for long behind another and a large
answer is never held in the host's memory."""

import asyncio
import json
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

Header = dict[str, Any]
Body = bytes | BinaryIO

LARGE = 1 << 20


def pack(header: Header, body: bytes, folder: str) -> bytes:
    """A frame; a large body is written to a new file in `folder`, which the receiver removes."""
    if len(body) <= LARGE:
        return json.dumps(header | {"size": len(body)}, separators=(",", ":")).encode() + b"\n" + body
    file = Path(folder, uuid.uuid4().hex)
    file.write_bytes(body)
    return json.dumps(header | {"size": len(body), "file": str(file)}).encode() + b"\n"


def content(body: Body) -> bytes:
    """The whole body."""
    if isinstance(body, bytes):
        return body
    with body:
        return body.read()


def receive(stream: BinaryIO) -> tuple[Header, Body] | None:
    """The next frame, None at the end of the stream."""
    line = stream.readline()
    if not line:
        return None
    header = json.loads(line)
    return header, _file(header) if "file" in header else stream.read(header["size"])


async def receive_async(stream: asyncio.StreamReader) -> tuple[Header, Body] | None:
    """The same, for the loop of the host."""
    line = await stream.readline()
    if not line:
        return None
    header = json.loads(line)
    return header, _file(header) if "file" in header else await stream.readexactly(header["size"])


def _file(header: Header) -> BinaryIO:
    path = Path(header["file"])
    file = path.open("rb")
    with suppress(PermissionError):  # Windows keeps open files; the folder is emptied at the next start.
        path.unlink()
    return file
