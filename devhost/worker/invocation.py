"""Runs one function for one frame of the host: arguments by binding, the call, its result or its failure."""

import asyncio
import concurrent.futures.thread
import contextvars
import inspect
import json
import os
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import azure.functions as func

from devhost.link import Header
from devhost.worker.arguments import HTTP_TRIGGER, TRIGGERS, answer, client_argument, trigger_argument
from devhost.worker.context import InvocationContext, TraceContext
from devhost.worker.index import Function
from devhost.worker.logs import invocation

_OWN_CODE = (os.path.dirname(__file__), concurrent.futures.thread.__file__)

Send = Callable[[Header, bytes], Any]


class Invocations:
    """All running invocations of this worker: coroutines on its loop, plain functions in its pool."""

    def __init__(
        self, config: dict[str, Any], functions: dict[str, Function], pool: ThreadPoolExecutor, send: Send
    ) -> None:
        self._app = config["app"]
        self._durable_client: dict[str, Any] = config["durable_client"]
        self._functions = functions
        self._pool = pool
        self._send = send
        self._running: set[asyncio.Task[None]] = set()

    def start(self, header: Header, body: bytes | bytearray) -> None:
        """Begins the invocation that `header` describes."""
        task = asyncio.get_running_loop().create_task(self._run(header, body))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def drain(self, seconds: float) -> None:
        """Waits for what is running, at most `seconds`."""
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)

    async def _run(self, header: Header, body: bytes | bytearray) -> None:
        reply: Header = {"op": "result", "id": header["id"]}
        result = b""
        try:
            function = self._functions[header["function"]]
            invocation.set((function.name, header["invocation"]))
            extra, result = await self._call(function, header, body)
            reply.update(extra)
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            reply["error"] = {
                "type": type(error).__name__,
                "message": str(error),
                "stack": _stack(error),
            }
        self._send(reply, result)

    async def _call(self, function: Function, header: Header, body: bytes | bytearray) -> tuple[Header, bytes]:
        arguments: dict[str, Any] = {}
        outputs: dict[str, func.Out[Any]] = {}
        trigger = ""
        for binding in function.bindings:
            kind, name = binding["type"].lower(), binding["name"]
            if kind in TRIGGERS:
                trigger = kind
                client_type = function.client_types.get(name)
                arguments[name] = (
                    client_argument(binding["type"], header, client_type)
                    if client_type
                    else trigger_argument(kind, header, body)
                )
            elif kind == "durableclient":
                arguments[name] = self._client(binding)
            elif name != "$return":
                arguments[name] = outputs[name] = _Output()
        if function.wants_context:
            trace = TraceContext(header.get("traceparent", ""), header.get("tracestate", ""))
            arguments["context"] = InvocationContext(function.name, header["invocation"], self._app, trace)
        result = await self._execute(function.call, arguments)
        if trigger == HTTP_TRIGGER and outputs:
            result = next(iter(outputs.values())).get()
        return answer(trigger, result)

    async def _execute(self, call: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        if inspect.iscoroutinefunction(call):
            return await call(**arguments)
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: context.run(call, **arguments))

    def _client(self, binding: dict[str, Any]) -> str:
        hub = binding.get("taskHub") or self._durable_client["taskHubName"]
        return json.dumps(self._durable_client | {"taskHubName": hub})


def _stack(error: BaseException) -> str:
    """The traceback from the user's function on: how it was called is no business of the app."""
    frame = error.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename.startswith(_OWN_CODE):
        frame = frame.tb_next
    return "".join(traceback.format_exception(type(error), error, frame))


class _Output(func.Out[Any]):
    """Holds what a function sets on an output binding."""

    def __init__(self) -> None:
        self._value: Any = None

    def set(self, val: Any) -> None:
        self._value = val

    def get(self) -> Any:
        return self._value
