"""An instance as callers see it: its management links, its status object, its folded history."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from devhost.durable.events import Event, EventType
from devhost.durable.instance import Instance

PUBLIC = "runtime/webhooks/durabletask"

_PATHS = {
    "statusQueryGetUri": "?",
    "sendEventPostUri": "/raiseEvent/{eventName}?",
    "terminatePostUri": "/terminate?reason={text}&",
    "rewindPostUri": "/rewind?reason={text}&",
    "purgeHistoryDeleteUri": "?",
    "restartPostUri": "/restart?",
    "suspendPostUri": "/suspend?reason={text}&",
    "resumePostUri": "/resume?reason={text}&",
}
_SCHEDULING = (EventType.TaskScheduled, EventType.SubOrchestrationInstanceCreated, EventType.TimerCreated)
_HIDDEN = (*_SCHEDULING, EventType.OrchestratorStarted, EventType.OrchestratorCompleted, EventType.EventSent)
_SHOWN = ("Timestamp", "Name", "Reason", "Details", "FireAt", "OrchestrationStatus")


class Links:
    """The management links of a host: origin, hub and the extension's key."""

    def __init__(self, origin: str, hub: str, key: str) -> None:
        self._origin, self._hub, self._key = origin, hub, key
        self._query = f"taskHub={quote(hub)}&connection=Storage&code={quote(key)}"

    def of(self, instance_id: str, origin: str) -> dict[str, str]:
        """All links of one instance, at the origin under which the caller reached the host."""
        base = f"{origin}/{PUBLIC}/instances/{instance_id}"
        return {"id": instance_id} | {name: f"{base}{path}{self._query}" for name, path in _PATHS.items()}

    def binding(self) -> str:
        """What a durableClient parameter gets."""
        start = f"{self._origin}/{PUBLIC}/orchestrators/{{functionName}}[/{{instanceId}}]?code={self._key}"
        wait = "&timeout={timeoutInSeconds}&pollingInterval={intervalInSeconds}"
        described = {
            "taskHubName": self._hub,
            "creationUrls": {"createNewInstancePostUri": start, "createAndWaitOnNewInstancePostUri": start + wait},
            "managementUrls": self.of("INSTANCEID", self._origin),
            "baseUrl": f"{self._origin}/{PUBLIC}",
            "requiredQueryStringParameters": self._query,
            "rpcBaseUrl": f"{self._origin}/durabletask/",
            "connectionName": "Storage",
        }
        return json.dumps(described)


def status_of(instance: Instance, show_input: bool) -> dict[str, Any]:
    """The status object of one instance."""
    return {
        "name": instance.name,
        "instanceId": instance.id,
        "runtimeStatus": instance.status,
        "input": json.loads(instance.input) if show_input else None,
        "customStatus": instance.custom_status,
        "output": instance.output,
        "createdTime": _time(instance.created),
        "lastUpdatedTime": _time(instance.updated),
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def folded(history: list[Event], show_output: bool, show_input: bool) -> list[Event]:
    """The history without bookkeeping: a completion carries the name and time of what it completes."""
    scheduled = {event["EventId"]: event for event in history if event["EventType"] in _SCHEDULING}
    found: list[Event] = []
    for event in history:
        if event["EventType"] in _HIDDEN:
            continue
        shown = {"EventType": EventType(event["EventType"]).name} | {key: event[key] for key in _SHOWN if key in event}
        if event["EventType"] == EventType.ExecutionStarted:
            shown["FunctionName"] = shown.pop("Name")
        if origin := scheduled.get(event.get("TaskScheduledId", event.get("TimerId"))):
            shown["ScheduledTime"] = origin["Timestamp"]
            shown |= {"FunctionName": origin["Name"]} if "Name" in origin else {}
        if show_input and event["EventType"] in (EventType.ExecutionStarted, EventType.EventRaised):
            shown["Input"] = json.loads(event["Input"])
        if show_output and "Result" in event:
            shown["Result"] = json.loads(event["Result"])
        found.append(shown)
    return found
