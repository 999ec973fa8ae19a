"""The actions an orchestrator asks for, as the durable SDK returns them on every replay, and the history events
that they become."""

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from enum import IntEnum
from typing import Any

from devhost.durable.events import Event, EventType, new_event, timestamp, unix_seconds
from devhost.durable.instance import Instance

Action = dict[str, Any]

HTTP_ACTIVITY = "BuiltIn::HttpActivity"
_MARK = "\n\n$OutOfProcData$:"


class ActionType(IntEnum):
    """The SDK's numbers."""

    CallActivity = 0
    CallActivityWithRetry = 1
    CallSubOrchestrator = 2
    CallSubOrchestratorWithRetry = 3
    ContinueAsNew = 4
    CreateTimer = 5
    WaitForExternalEvent = 6
    CallEntity = 7
    CallHttp = 8
    SignalEntity = 9
    WhenAny = 11
    WhenAll = 12


_BECOMES = {
    ActionType.CallActivity: EventType.TaskScheduled,
    ActionType.CallActivityWithRetry: EventType.TaskScheduled,
    ActionType.CallHttp: EventType.TaskScheduled,
    ActionType.CallSubOrchestrator: EventType.SubOrchestrationInstanceCreated,
    ActionType.CallSubOrchestratorWithRetry: EventType.SubOrchestrationInstanceCreated,
    ActionType.CreateTimer: EventType.TimerCreated,
    ActionType.CallEntity: EventType.EventSent,
    ActionType.SignalEntity: EventType.EventSent,
}

# What the framework calls the actions, and the tasks they had scheduled when they come as another or not again.
_CHILD = (
    "a sub-orchestration task with sequence ID {EventId} and name '{Name}' "
    "(version '{Version}', instance ID '{InstanceId}'),"
)
_SENT = "a send event task with sequence ID {EventId}, type 'EventSent', name '{Name}', instance ID '{InstanceId}',"
_TIMER = "a timer task with sequence number {EventId}"
_FRAMEWORK = {
    EventType.TaskScheduled: (
        "ScheduleTaskOrchestratorAction",
        "an activity task with sequence number {EventId} named '{Name}',",
        "an activity task with sequence ID {EventId} and name '{Name}' (version ''),",
    ),
    EventType.SubOrchestrationInstanceCreated: ("CreateSubOrchestrationAction", _CHILD, _CHILD),
    EventType.TimerCreated: ("CreateTimerOrchestratorAction", f"{_TIMER} named", _TIMER),
    EventType.EventSent: ("SendEventOrchestratorAction", _SENT, _SENT),
}


class Outcome:
    """What the state JSON of a replay says: all `actions` so far, the `waits` among them, and how it ended, if so."""

    def __init__(self, state: dict[str, Any]) -> None:
        leaves = list(_flatten((state.get("actions") or [[]])[0]))
        self.actions = [leaf for leaf in leaves if leaf["actionType"] != ActionType.WaitForExternalEvent]
        waits = [leaf for leaf in leaves if leaf["actionType"] == ActionType.WaitForExternalEvent]
        self.waits = Counter(wait["externalEventName"] for wait in waits)
        self.is_done: bool = state.get("isDone", False)
        self.output, self.custom_status = state.get("output"), state.get("customStatus")
        self.error: str | None = state.get("error")

    @classmethod
    def of_failure(cls, message: str) -> "Outcome":
        """Reads the exception by which the SDK reports that the orchestrator raised."""
        text, _, state = message.partition(_MARK)
        outcome = cls(json.loads(state or "{}"))
        outcome.error = outcome.error or text
        return outcome


def _flatten(actions: list[Action]) -> Iterator[Action]:
    for action in actions:
        if action["actionType"] in (ActionType.WhenAny, ActionType.WhenAll):
            yield from _flatten(action["compoundActions"])
        else:
            yield action


def scheduling_event(action: Action, task: int, instance: Instance) -> Event:
    """The event that an action other than a wait becomes."""
    kind, name = _BECOMES[action["actionType"]], _name(action)
    if kind == EventType.TimerCreated:
        return new_event(kind, task, FireAt=timestamp(unix_seconds(action["fireAt"])))
    if kind == EventType.TaskScheduled:
        text = json.dumps(action["httpRequest"]) if name == HTTP_ACTIVITY else action.get("input") or "null"
        return new_event(kind, task, Name=name, Input=text)
    target, text = action.get("instanceId") or f"{instance.execution}:{task:X}", json.dumps(action.get("input"))
    if kind == EventType.SubOrchestrationInstanceCreated:
        return new_event(kind, task, Name=name, InstanceId=target, Input=text, Version=action.get("version") or "")
    caller = {"parent": instance.id, "parentExecution": instance.execution, "parentTask": task}
    is_signal = action["actionType"] == ActionType.SignalEntity
    return entity_event(target, action["operation"], text, {} if is_signal else caller, task)


def entity_event(target: str, operation: str, text: str, caller: dict[str, Any], task: int = -1) -> Event:
    """An operation with the JSON text as its input, on its way to an entity; without a caller it is a signal."""
    request = {"op": operation, "signal": not caller, "input": text, "id": str(uuid.uuid4()), **caller}
    return new_event(EventType.EventSent, task, Name="op", InstanceId=target, Input=json.dumps(request))


def _name(action: Action) -> str:
    """What the event is called that the action becomes."""
    if "operation" in action:
        return "op"
    return HTTP_ACTIVITY if action["actionType"] == ActionType.CallHttp else action.get("functionName") or ""


def difference(event: Event, action: Action | None) -> str | None:
    """None when a replay asks again for what became `event`, else how the framework says that it does not."""
    kind = event["EventType"]
    now, new_name = (_BECOMES.get(action["actionType"]), _name(action)) if action else (None, "")
    if action and now == kind and event.get("Name", "").lower() == new_name.lower():
        return None
    _, if_changed, if_missing = _FRAMEWORK[kind]
    before, current = if_changed.format(**event), "orchestration replay instead"
    if not action:
        before, current = if_missing.format(**event), "replay execution hasn't (yet?) scheduled this task."
    elif now != kind:
        new_action = _FRAMEWORK[now][0] if now else "OrchestrationCompleteOrchestratorAction"
        current += f" produced a {new_action} action with this sequence number."
    elif kind == EventType.TaskScheduled:
        current += f" scheduled an activity task named '{new_name}' with this sequence number. "
    else:
        current += f" scheduled a sub-orchestration task with name {new_name} at this sequence number."
    return (
        f"Non-Deterministic workflow detected: A previous execution of this orchestration scheduled {before} but the "
        f"current {current} Was a change made to the orchestrator code after this instance had already started running?"
    )
