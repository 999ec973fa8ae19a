"""The worker process: indexes the app, then runs what the host sends until it is told to stop.

Frames of the host are read by a thread of their own, which also notices the end of the host, however it comes.
Coroutines run on the one loop, other functions in the one pool, as in the real worker."""

import asyncio
import concurrent.futures
import inspect
import json
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, BinaryIO

from devhost import frames
from devhost.frames import Body, Header
from devhost.worker.bindings import Function
from devhost.worker.index import IndexFailed, index_app
from devhost.worker.logs import invocation, write_logs

_NOT_THE_APPS = (os.path.dirname(__file__), concurrent.futures.__path__[0])


def main() -> None:
    """Runs the worker; the first frame is its configuration."""
    incoming, outgoing = _take_standard_streams()
    first = frames.receive(incoming)
    if first is None:
        return
    config = first[0]
    sys.path.insert(0, config["app"])
    write_logs(config["log_levels"])
    worker = Worker(config, incoming, outgoing)
    try:
        functions = index_app(config)
    except IndexFailed as failure:
        worker.send({"id": config["id"], "failed": True}, json.dumps({"message": str(failure)}).encode())
        return
    asyncio.run(worker.serve(functions))


def _take_standard_streams() -> tuple[BinaryIO, BinaryIO]:
    """The link to the host. User code finds an empty standard input, and what it prints goes to the log."""
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    sys.stdout.reconfigure(line_buffering=True)  # pyright: ignore[reportAttributeAccessIssue]
    return incoming, outgoing


class Worker:
    """The running invocations of this process."""

    def __init__(self, config: Header, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._config = config
        self._functions: dict[str, Function] = {}
        self._incoming, self._outgoing = incoming, outgoing
        self._sending = threading.Lock()
        self._pool = ThreadPoolExecutor(_thread_count(), thread_name_prefix="function")
        self._running: set[Future[None]] = set()
        # From the beginning, so that a host that ends during a long import takes this process along.
        threading.Thread(target=self._read, daemon=True).start()

    async def serve(self, functions: list[Function]) -> None:
        """Tells the host which functions there are, then runs them until it says stop."""
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        self._functions = {function.name: function for function in functions}
        described = [{"name": function.name, "bindings": function.bindings} for function in functions]
        self.send({"id": self._config["id"], "functions": described})
        await self._stopped.wait()
        if running := [asyncio.wrap_future(future) for future in list(self._running)]:
            await asyncio.wait(running, timeout=self._drain_seconds)
        # What libraries leave open is no error of an app that is being stopped.
        self._loop.set_exception_handler(lambda *_: None)
        # Threads that still run user code would hold up a normal exit for as long as they like.
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _read(self) -> None:
        while frame := frames.receive(self._incoming):
            header, body = frame
            if header["id"] == "stop":
                self._drain_seconds = header["seconds"]
                self._loop.call_soon_threadsafe(self._stopped.set)
                continue
            function = self._functions[header["function"]]
            if inspect.iscoroutinefunction(function.call):
                future = asyncio.run_coroutine_threadsafe(self._await(function, header, body), self._loop)
            else:
                future = self._pool.submit(self._call, function, header, body)
            self._running.add(future)
            future.add_done_callback(self._running.discard)
        os._exit(1)

    def _call(self, function: Function, header: Header, body: Body) -> None:
        with self._answering(header) as answer:
            result = function.call(**function.arguments(header, body))
            answer.append(function.answer(result))

    async def _await(self, function: Function, header: Header, body: Body) -> None:
        with self._answering(header) as answer:
            result = await function.call(**function.arguments(header, body))
            answer.append(function.answer(result))

    @contextmanager
    def _answering(self, header: Header) -> Iterator[list[tuple[Header, bytes]]]:
        """Sends what the block appends, or else the exception that left it."""
        invocation.set((header["function"], header["id"]))
        answer: list[tuple[Header, bytes]] = []
        try:
            yield answer
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            failure = {"kind": type(error).__name__, "message": str(error), "stack": _stack(error)}
            answer = [({"failed": True}, json.dumps(failure).encode())]
        [(facts, body)] = answer
        self.send({"id": header["id"], **facts}, body)

    def send(self, header: Header, body: bytes = b"") -> None:
        """Sends a frame to the host; for every thread."""
        frame = frames.pack(header, body, self._config["bodies"])
        with self._sending:
            self._outgoing.write(frame)
            self._outgoing.flush()


def _stack(error: BaseException) -> str:
    """The traceback from the user's function on: how it was called is no business of the app."""
    frame = error.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename.startswith(_NOT_THE_APPS):
        frame = frame.tb_next
    return "".join(traceback.format_exception(type(error), error, frame))


def _thread_count() -> int | None:
    setting: Any = os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT", "")
    return min(max(int(setting), 1), 32) if setting.isdigit() else None
