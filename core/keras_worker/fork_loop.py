"""The fork server: imports Keras once, then for each socket it is sent forks a ready child in milliseconds.

It runs no TensorFlow operation before a fork: TensorFlow's threads would not exist in the child.
"""

import gc
import os
import select
import signal
import socket
from typing import NoReturn

from core.keras_worker.channel import socket_streams
from core.keras_worker.command_loop import run_commands
from core.keras_worker.commands import preload


def serve_forks(channel: socket.socket, backend: str) -> NoReturn:
    """Forks a child for every file descriptor that arrives on `channel`; ends when the parent closes it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    preload(backend)
    gc.collect()
    gc.freeze()  # keeps the collector from touching, and so copying, the pages that children share
    wake_reader, wake_writer = os.pipe()
    os.set_blocking(wake_reader, False)
    os.set_blocking(wake_writer, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
    channel.sendall(b'{"ready": true}\n')
    while True:
        readable, _, _ = select.select([channel, wake_reader], [], [])
        if wake_reader in readable:
            _drain(wake_reader)
            _reap()
        if channel in readable:
            received, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
            if not received:
                os._exit(0)
            for descriptor in descriptors:
                if _fork():
                    os.close(descriptor)
                else:
                    _become_child(channel, wake_reader, wake_writer, descriptor, backend)


def _fork() -> int:
    try:
        return os.fork()
    except OSError:
        # No memory or no process left: closing the child's end tells the parent.
        return -1


def _become_child(
    channel: socket.socket, wake_reader: int, wake_writer: int, descriptor: int, backend: str
) -> NoReturn:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    channel.close()
    os.close(wake_reader)
    os.close(wake_writer)
    run_commands(*socket_streams(socket.socket(fileno=descriptor)), backend)


def _drain(descriptor: int) -> None:
    try:
        while os.read(descriptor, 512):
            pass
    except BlockingIOError:
        return


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return
