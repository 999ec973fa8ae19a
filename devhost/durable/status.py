"""Instances as the management API shows them: status objects, folded history, filters."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from devhost.durable import history
from devhost.durable.history import Event
from devhost.durable.instance import Instance
from devhost.durable.store import Store

PAGE = 100

_SCHEDULING = {history.TASK_SCHEDULED, history.SUB_ORCHESTRATION_CREATED, history.TIMER_CREATED}
_HIDDEN = _SCHEDULING | {history.ORCHESTRATOR_STARTED, history.ORCHESTRATOR_COMPLETED, history.EVENT_SENT}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def status_of(instance: Instance, show_input: bool = True) -> dict[str, Any]:
    """The status object of one instance."""
    return {
        "name": instance.name,
        "instanceId": instance.id,
        "runtimeStatus": instance.status,
        "input": json.loads(instance.input) if show_input else None,
        "customStatus": json.loads(instance.custom_status) if instance.custom_status else None,
        "output": json.loads(instance.output) if instance.output else None,
        "createdTime": _time(instance.created),
        "lastUpdatedTime": _time(instance.updated),
    }


def folded_history(store: Store, instance_id: str, show_output: bool, show_input: bool) -> list[Event]:
    """The history without bookkeeping: a completion carries the name and time of what it completes."""
    events = [event for episode in store.history(instance_id) for event in episode]
    scheduled = {event["EventId"]: event for event in events if event["EventType"] in _SCHEDULING}
    return [_shown(event, scheduled, show_output, show_input) for event in events if event["EventType"] not in _HIDDEN]


def _shown(event: Event, scheduled: dict[int, Event], show_output: bool, show_input: bool) -> Event:
    kind = event["EventType"]
    shown: Event = {"EventType": history.NAMES[kind], "Timestamp": event["Timestamp"]}
    if kind == history.EXECUTION_STARTED:
        shown["FunctionName"] = event["Name"]
        if show_input:
            shown["Input"] = json.loads(event["Input"])
    elif kind == history.EXECUTION_COMPLETED:
        shown["OrchestrationStatus"] = event["OrchestrationStatus"]
    elif kind in history.COMPLETION_KEY:
        origin = scheduled.get(event[history.COMPLETION_KEY[kind]])
        if origin is not None:
            shown["ScheduledTime"] = origin["Timestamp"]
            if "Name" in origin:
                shown["FunctionName"] = origin["Name"]
    shown |= {key: event[key] for key in ("Name", "Reason", "Details", "FireAt") if key in event and kind}
    if kind == history.EVENT_RAISED and show_input:
        shown["Input"] = json.loads(event["Input"])
    if show_output and "Result" in event:
        shown["Result"] = json.loads(event["Result"])
    return shown


@dataclass
class Filter:
    """Which instances a query means."""

    created_from: float | None = None
    created_to: float | None = None
    statuses: list[str] = field(default_factory=list)
    prefix: str = ""

    @classmethod
    def from_query(cls, query: Any) -> "Filter":
        """Reads the query string; raises ValueError for a time that cannot be read."""
        statuses = [part.strip() for part in query.get("runtimeStatus", "").split(",") if part.strip()]
        return cls(
            history.seconds(query["createdTimeFrom"]) if query.get("createdTimeFrom") else None,
            history.seconds(query["createdTimeTo"]) if query.get("createdTimeTo") else None,
            statuses,
            query.get("instanceIdPrefix", ""),
        )

    def select(self, store: Store, limit: int = -1, after: tuple[float, str] | None = None) -> list[Instance]:
        """The instances that match, oldest first, at most `limit`, beginning behind `after`."""
        conditions, parameters = ["1"], list[Any]()
        if self.created_from is not None:
            conditions.append("created >= ?")
            parameters.append(self.created_from)
        if self.created_to is not None:
            conditions.append("created <= ?")
            parameters.append(self.created_to)
        if self.statuses:
            conditions.append(f"lower(status) IN ({','.join('?' * len(self.statuses))})")
            parameters += [status.lower() for status in self.statuses]
        if self.prefix:
            conditions.append("substr(id, 1, ?) = ?")
            parameters += [len(self.prefix), self.prefix]
        if after is not None:
            conditions.append("(created, id) > (?, ?)")
            parameters += after
        return store.select(" AND ".join(conditions), parameters, limit)
