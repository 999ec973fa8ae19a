"""What a child process does all its life: take a command, run it, answer, until the channel closes."""

import errno
import os
import queue
import signal
import sys
import threading
import traceback
from typing import Any, BinaryIO, NoReturn

from core.keras_worker import kill_points
from core.keras_worker.channel import Channel, ParentGone
from core.keras_worker.commands import Call, find_command
from core.keras_worker.errors import Refused

_NICENESS = 5
_DISK_FULL = (
    "The temporary disk of this instance is full; use a smaller file or network, or ask the operator for an"
    " instance with a larger disk."
)


def run_commands(reader: BinaryIO, writer: BinaryIO, backend: str) -> NoReturn:
    """Serves one parent and never returns.

    A thread of its own watches the channel, so that the process ends at once when the parent is gone, whatever
    the command is doing; it starts before anything slow, such as importing Keras.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches the whole group: the parent decides
    channel = Channel(reader, writer)
    inbox: queue.SimpleQueue[Call] = queue.SimpleQueue()
    threading.Thread(target=_watch, args=(channel, inbox), daemon=True).start()
    _yield_to_the_host()
    _offer_to_the_oom_killer()
    try:
        channel.send({"ready": True, "pid": os.getpid()})
        while True:
            call = inbox.get()
            channel.send(_answer(call, backend))
    except ParentGone:
        os._exit(0)


def _watch(channel: Channel, inbox: "queue.SimpleQueue[Call]") -> NoReturn:
    current: Call | None = None
    try:
        while True:
            message = channel.receive()
            if "cancel" not in message:
                current = Call(message["number"], message["command"], message["arguments"], channel.send)
                inbox.put(current)
            elif current is not None and message["cancel"] == current.number:
                # Otherwise the call has ended while the request was under way.
                current.cancel()
    finally:
        os._exit(0)


def _answer(call: Call, backend: str) -> dict[str, Any]:
    try:
        kill_points.arm(call.arguments.pop("kill_at", None))
        return {"result": find_command(call.command, backend)(call)}
    except Refused as refusal:
        return {"refused": refusal.problems}
    except MemoryError:
        return {"out_of_memory": True}
    except ParentGone:
        raise
    except OSError as error:
        # Its text would name a path of this machine, and the user can do something about it.
        return {"refused": _DISK_FULL} if error.errno == errno.ENOSPC else _failed(error)
    except Exception as error:  # the channel is the child's outer edge: the parent turns this into ChildFailed
        if type(error).__name__ == "ResourceExhaustedError":
            return {"out_of_memory": True}
        return _failed(error)


def _failed(error: Exception) -> dict[str, Any]:
    return {"failed": _first_line(error), "detail": traceback.format_exc()}


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:500] if lines else type(error).__name__


def _yield_to_the_host() -> None:
    """A training takes every core there is; requests that the host serves meanwhile should not wait for it."""
    if hasattr(os, "nice"):
        os.nice(_NICENESS)


def _offer_to_the_oom_killer() -> None:
    """When memory runs out, a training should go before the host that can start it again."""
    if sys.platform == "linux":
        try:
            with open("/proc/self/oom_score_adj", "w") as score:
                score.write("500")
        except OSError:
            return
