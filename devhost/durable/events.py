"""History events of an orchestration, in the JSON form that the durable SDK replays."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

Event = dict[str, Any]


class EventType(IntEnum):
    """The extension's numbers and names."""

    ExecutionStarted = 0
    ExecutionCompleted = 1
    ExecutionTerminated = 3
    TaskScheduled = 4
    TaskCompleted = 5
    TaskFailed = 6
    SubOrchestrationInstanceCreated = 7
    SubOrchestrationInstanceCompleted = 8
    SubOrchestrationInstanceFailed = 9
    TimerCreated = 10
    TimerFired = 11
    OrchestratorStarted = 12
    OrchestratorCompleted = 13
    EventSent = 14
    EventRaised = 15
    GenericEvent = 17
    ExecutionSuspended = 19
    ExecutionResumed = 20


FAILURES = (EventType.TaskFailed, EventType.SubOrchestrationInstanceFailed)

# The SDK ignores these; leaving them out keeps the replay of a long history cheap.
_NOT_REPLAYED = {
    EventType.ExecutionCompleted,
    EventType.TaskScheduled,
    EventType.SubOrchestrationInstanceCreated,
    EventType.TimerCreated,
    EventType.OrchestratorCompleted,
    EventType.ExecutionSuspended,
    EventType.ExecutionResumed,
}


@dataclass(frozen=True)
class Message:
    """An event on its way to an instance or entity.

    `execution` is the one it is meant for, None for whichever runs; `task` the task that it completes. `number`
    is its place in the store; a fired timer has none, because it fires again after a restart."""

    event: Event
    execution: str | None = None
    task: int | None = None
    number: int | None = None


def new_event(kind: EventType, event_id: int = -1, **fields: Any) -> Event:
    """A new event; the episode that takes it in gives it its time."""
    return {"EventType": int(kind), "EventId": event_id, "IsPlayed": False, **fields}


def replayed(events: list[Event]) -> str:
    """The events as a fragment of a later `history` array: comma-separated JSON, `IsPlayed` set."""
    return ",".join(
        json.dumps(event | {"IsPlayed": True}, separators=(",", ":"))
        for event in events
        if event["EventType"] not in _NOT_REPLAYED
    )


def timestamp(seconds: float) -> str:
    """Unix seconds as the extension writes a time: UTC, seven digits."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


def unix_seconds(text: str) -> float:
    """A time of the SDK (`fireAt`, query filters); without an offset it is UTC."""
    moment = datetime.fromisoformat(text.strip().replace(" ", "T"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
