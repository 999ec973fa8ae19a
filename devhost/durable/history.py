"""History events of an orchestration, in the JSON form that the durable SDK replays."""

import json
from datetime import UTC, datetime
from typing import Any

Event = dict[str, Any]

EXECUTION_STARTED = 0
EXECUTION_COMPLETED = 1
EXECUTION_TERMINATED = 3
TASK_SCHEDULED = 4
TASK_COMPLETED = 5
TASK_FAILED = 6
SUB_ORCHESTRATION_CREATED = 7
SUB_ORCHESTRATION_COMPLETED = 8
SUB_ORCHESTRATION_FAILED = 9
TIMER_CREATED = 10
TIMER_FIRED = 11
ORCHESTRATOR_STARTED = 12
ORCHESTRATOR_COMPLETED = 13
EVENT_SENT = 14
EVENT_RAISED = 15
GENERIC = 17
EXECUTION_SUSPENDED = 19
EXECUTION_RESUMED = 20

NAMES = {
    EXECUTION_STARTED: "ExecutionStarted",
    EXECUTION_COMPLETED: "ExecutionCompleted",
    EXECUTION_TERMINATED: "ExecutionTerminated",
    TASK_SCHEDULED: "TaskScheduled",
    TASK_COMPLETED: "TaskCompleted",
    TASK_FAILED: "TaskFailed",
    SUB_ORCHESTRATION_CREATED: "SubOrchestrationInstanceCreated",
    SUB_ORCHESTRATION_COMPLETED: "SubOrchestrationInstanceCompleted",
    SUB_ORCHESTRATION_FAILED: "SubOrchestrationInstanceFailed",
    TIMER_CREATED: "TimerCreated",
    TIMER_FIRED: "TimerFired",
    ORCHESTRATOR_STARTED: "OrchestratorStarted",
    ORCHESTRATOR_COMPLETED: "OrchestratorCompleted",
    EVENT_SENT: "EventSent",
    EVENT_RAISED: "EventRaised",
    GENERIC: "GenericEvent",
    EXECUTION_SUSPENDED: "ExecutionSuspended",
    EXECUTION_RESUMED: "ExecutionResumed",
}

# The key that names the task a completion belongs to.
COMPLETION_KEY = {
    TASK_COMPLETED: "TaskScheduledId",
    TASK_FAILED: "TaskScheduledId",
    SUB_ORCHESTRATION_COMPLETED: "TaskScheduledId",
    SUB_ORCHESTRATION_FAILED: "TaskScheduledId",
    TIMER_FIRED: "TimerId",
}

# The SDK ignores these; leaving them out keeps the replay of a long history cheap.
_NOT_REPLAYED = {
    EXECUTION_COMPLETED,
    TASK_SCHEDULED,
    SUB_ORCHESTRATION_CREATED,
    TIMER_CREATED,
    ORCHESTRATOR_COMPLETED,
    EXECUTION_SUSPENDED,
    EXECUTION_RESUMED,
}


def timestamp(seconds: float) -> str:
    """Unix seconds as the extension writes a time: UTC, seven digits."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


def seconds(text: str) -> float:
    """A time of the SDK (`fireAt`, query filters) as Unix seconds; without an offset it is UTC."""
    moment = datetime.fromisoformat(text.strip().replace(" ", "T"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def event(kind: int, event_id: int = -1, **fields: Any) -> Event:
    """A new event; the episode that takes it in gives it its time."""
    return {"EventType": kind, "EventId": event_id, "IsPlayed": False, **fields}


def replayed(events: list[Event]) -> str:
    """The events as a fragment of a later `history` array: comma-separated JSON, `IsPlayed` set."""
    return ",".join(
        json.dumps(entry | {"IsPlayed": True}, separators=(",", ":"))
        for entry in events
        if entry["EventType"] not in _NOT_REPLAYED
    )
