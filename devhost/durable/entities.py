"""Entities: batches of operations on a small state, one batch at a time for each entity."""

import asyncio
import json
import logging
import uuid
from typing import TYPE_CHECKING, Any

from devhost.durable import history
from devhost.durable.store import Message
from devhost.errors import InvocationFailed, WorkerGone
from devhost.supervisor import Supervisor

if TYPE_CHECKING:
    from devhost.durable.engine import Engine

_log = logging.getLogger("devhost.durable")


def is_entity(target: str) -> bool:
    """Whether an id names an entity; instance ids cannot begin with the sign."""
    return target.startswith("@")


def entity_id(name: str, key: str) -> str:
    """The id of an entity; the name is compared in lower case."""
    return f"@{name.lower()}@{key}"


class Entities:
    """Runs the operations queued for entities."""

    def __init__(self, engine: "Engine", supervisor: Supervisor, slots: asyncio.Semaphore) -> None:
        self._engine = engine
        self._supervisor = supervisor
        self._slots = slots

    async def step(self, target: str) -> bool:
        """Runs all operations that are waiting as one batch; False when there are none."""
        async with self._slots:
            store = self._engine.store
            messages = store.due_messages(target)
            if not messages:
                return False
            requests: list[dict[str, Any]] = [json.loads(message.event["Input"]) for message in messages]
            try:
                result = await self._run(target, requests)
            except WorkerGone:
                return True
            answers = [
                Message(request["parent"], _answer(request, outcome), request["parentExecution"])
                for request, outcome in zip(requests, result["results"], strict=True)
                if not request["signal"]
            ]
            with store.transaction():
                store.remove(message.seq for message in messages)
                if "entityState" in result:
                    store.save_entity(target, result["entityExists"], result["entityState"])
                for answer in answers:
                    store.post(answer)
        for answer in answers:
            self._engine.wake(answer.target)
        return True

    async def _run(self, target: str, requests: list[dict[str, Any]]) -> dict[str, Any]:
        _, name, key = target.split("@", 2)
        function = self._engine.functions.entities.get(name)
        if function is None:
            _log.error("Entity '%s' does not exist; %d operations were dropped.", name, len(requests))
            return _all_failed(requests, f"Entity function '{name}' doesn't exist or is disabled.")
        exists, state = self._engine.store.entity(target)
        context = {
            "self": {"name": name, "key": key},
            "exists": exists,
            "state": state,
            "batch": [
                {"name": request["op"], "input": request["input"], "isSignal": request["signal"]}
                for request in requests
            ],
        }
        try:
            header = {"invocation": str(uuid.uuid4())}
            _, body = await self._supervisor.call(function, header, json.dumps(context).encode())
        except InvocationFailed as error:
            _log.error("Executed 'Functions.%s' (Failed): %s", function.name, error.stack or error)
            return _all_failed(requests, f"{error.kind}: {error.message}")
        return json.loads(body)


def _all_failed(requests: list[dict[str, Any]], message: str) -> dict[str, Any]:
    return {"results": [{"isError": True, "result": json.dumps(message)} for _ in requests]}


def _answer(request: dict[str, Any], outcome: dict[str, Any]) -> history.Event:
    response = {"result": outcome["result"]}
    if outcome["isError"]:
        response["exceptionType"] = "Microsoft.Azure.WebJobs.Extensions.DurableTask.EntityFailureException"
    return history.event(history.EVENT_RAISED, Name=request["id"], Input=json.dumps(response))
