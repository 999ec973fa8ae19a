"""Ports that accept connections and never answer, as a network does that drops packets."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def black_hole(*ports: int) -> Iterator[None]:
    """Takes the ports, on loopback, until the end of the `with`."""
    with contextlib.ExitStack() as held:
        for port in ports:
            listener = held.enter_context(socket.socket())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            listener.listen(1024)
            swallowing = threading.Thread(target=_swallow, args=(listener,))
            swallowing.start()
            held.callback(swallowing.join)
            # Closing alone would not wake a thread that accepts.
            held.callback(listener.shutdown, socket.SHUT_RDWR)
        yield


def _swallow(listener: socket.socket) -> None:
    with contextlib.ExitStack() as taken:
        while True:
            try:
                taken.enter_context(listener.accept()[0])
            except OSError:
                return
