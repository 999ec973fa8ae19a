"""Runs queued activities, as many at once as host.json allows, and posts what came of each."""

import asyncio
import json
import logging
import uuid
from typing import TYPE_CHECKING, Any

from devhost.background import Background
from devhost.durable import history
from devhost.durable.call_http import call_http
from devhost.durable.history import Event
from devhost.durable.store import Activity, Message
from devhost.errors import InvocationFailed, WorkerGone
from devhost.supervisor import Supervisor

if TYPE_CHECKING:
    from devhost.durable.engine import Engine

_log = logging.getLogger("devhost.durable")

HTTP_ACTIVITY = "BuiltIn::HttpActivity"


class Activities:
    """The running activities. An activity row stays until its end is committed: at least once."""

    def __init__(self, engine: "Engine", supervisor: Supervisor, limit: int) -> None:
        self._engine = engine
        self._supervisor = supervisor
        self._slots = asyncio.Semaphore(limit)
        self._running: set[int] = set()
        self._background = Background()

    def start(self, activity: Activity) -> None:
        """Runs a queued activity when there is room."""
        if activity.seq not in self._running:
            self._running.add(activity.seq)
            task = self._background.start(self._run(activity))
            task.add_done_callback(lambda _: self._running.discard(activity.seq))

    async def stop(self) -> None:
        """Abandons what is running; the rows stay."""
        await self._background.stop()

    async def _run(self, activity: Activity) -> None:
        if activity.name == HTTP_ACTIVITY:
            # Waiting for a slow server is not the app's work and takes no slot.
            ended = await self._call_http(activity)
        else:
            async with self._slots:
                ended = await self._call(activity)
        with self._engine.store.transaction():
            self._engine.store.unqueue(activity.seq)
            self._engine.store.post(Message(activity.instance, ended, activity.execution))
        self._engine.wake(activity.instance)

    async def _call(self, activity: Activity) -> Event:
        function = self._engine.functions.activities.get(activity.name.lower())
        if function is None:
            return _failed(activity, "the function doesn't exist or is disabled.", "")
        try:
            header = {"invocation": str(uuid.uuid4())}
            _, body = await self._supervisor.call(function, header, activity.input.encode())
        except InvocationFailed as error:
            text = f"{error.kind}: {error.message}"
            _log.error("Executed 'Functions.%s' (Failed): %s", function.name, error.stack or text)
            return _failed(activity, text if error.stack else error.message, error.stack)
        except WorkerGone as error:
            # The real host reports this to the orchestration, whose retry policy has to answer it.
            return _failed(activity, str(error), "")
        return history.event(history.TASK_COMPLETED, TaskScheduledId=activity.task, Result=body.decode())

    async def _call_http(self, activity: Activity) -> Event:
        try:
            answer = await call_http(json.loads(activity.input))
        except (OSError, ValueError, TimeoutError) as error:
            return _failed(activity, f"{type(error).__name__}: {error}", "")
        return history.event(history.TASK_COMPLETED, TaskScheduledId=activity.task, Result=json.dumps(answer))


def _failed(activity: Activity, message: str, stack: str) -> Event:
    """A failure in the extension's words; `Details` is the exception as JSON, which apps parse."""
    details: dict[str, Any] = {
        "$type": "System.Exception, System.Private.CoreLib",
        "ClassName": "System.Exception",
        "Message": message,
        "Data": None,
        "StackTraceString": stack or None,
        "HResult": -2146233088,
    }
    reason = f"Activity function '{activity.name}' failed: {message}"
    fields = {"TaskScheduledId": activity.task, "Reason": reason, "Details": json.dumps(details)}
    return history.event(history.TASK_FAILED, **fields)
