"""The child's end of the channel to the parent: one JSON object a line, both ways."""

import json
import os
import socket
import sys
import threading
from typing import Any, BinaryIO


class ParentGone(Exception):
    """Nobody reads any more: the child has no reason to go on."""


class Channel:
    """Reads and writes whole lines; writing is safe from several threads."""

    def __init__(self, reader: BinaryIO, writer: BinaryIO) -> None:
        self._reader = reader
        self._writer = writer
        self._lock = threading.Lock()

    def receive(self) -> dict[str, Any]:
        """The next message; raises ParentGone at the end of the stream."""
        try:
            line = self._reader.readline()
        except OSError as error:
            raise ParentGone from error
        if not line.endswith(b"\n"):
            raise ParentGone
        return json.loads(line)

    def send(self, message: dict[str, Any]) -> None:
        """Sends one message; NaN and infinities are an error here, they never leave the child."""
        line = json.dumps(message, allow_nan=False).encode() + b"\n"
        try:
            with self._lock:
                self._writer.write(line)
                self._writer.flush()
        except OSError as error:
            raise ParentGone from error


def standard_streams() -> tuple[BinaryIO, BinaryIO]:
    """Stdin and stdout as a channel of our own; what anybody prints afterwards goes to stderr."""
    reader, writer = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return os.fdopen(reader, "rb"), os.fdopen(writer, "wb")


def socket_streams(end: socket.socket) -> tuple[BinaryIO, BinaryIO]:
    """One end of a socket pair as a channel."""
    return end.makefile("rb"), end.makefile("wb")
