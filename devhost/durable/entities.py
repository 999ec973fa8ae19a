"""Entities: batches of operations on a small state, one batch at a time for each entity."""

import json
from typing import Any

from devhost import frames
from devhost.durable.events import Event, EventType, new_event
from devhost.errors import InvocationFailed, WorkerGone
from devhost.functions import Functions, UnknownFunction
from devhost.supervisor import Supervisor

_ERROR = "Microsoft.Azure.WebJobs.Extensions.DurableTask.EntityFailureException"


def is_entity(target: str) -> bool:
    """Whether an id names an entity; instance ids cannot begin with the sign."""
    return target.startswith("@")


def entity_id(name: str, key: str) -> str:
    """The id of an entity; the name is compared in lower case."""
    return f"@{name.lower()}@{key}"


async def run_batch(
    target: str, entity: Any, operations: list[dict[str, Any]], functions: Functions, supervisor: Supervisor
) -> dict[str, Any]:
    """Runs operations on an entity, `{"state": JSON text}` or None: their `results`, and the state afterwards.

    Raises WorkerGone, which is no answer of the entity: the batch is to be run again."""
    _, name, key = target.split("@", 2)
    context = {
        "self": {"name": name, "key": key},
        "exists": entity is not None,
        "state": entity and entity["state"],
        "batch": [{"name": one["op"], "input": one["input"], "isSignal": one["signal"]} for one in operations],
    }
    try:
        function = functions.require("entitytrigger", name)
        _, body = await supervisor.call(function, json.dumps(context).encode())
        return json.loads(frames.content(body))
    except WorkerGone:
        raise
    except (InvocationFailed, UnknownFunction) as error:
        text = error.summary if isinstance(error, InvocationFailed) else str(error)
        return {"results": [{"isError": True, "result": json.dumps(text)} for _ in operations]}


def answer(asked: dict[str, Any], result: dict[str, Any]) -> Event:
    """What the orchestration that called gets to hear."""
    response = {"result": result["result"]} | ({"exceptionType": _ERROR} if result["isError"] else {})
    fields = {"Name": asked["id"], "Input": json.dumps(response), "TaskScheduledId": asked["parentTask"]}
    return new_event(EventType.EventRaised, **fields)
