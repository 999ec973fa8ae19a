"""One orchestration instance: its row, and what is known of its code while it lives."""

import uuid
from dataclasses import dataclass, field
from typing import Any

from devhost.durable.events import Event, EventType, new_event

PENDING, RUNNING, SUSPENDED = "Pending", "Running", "Suspended"
COMPLETED, FAILED, TERMINATED = "Completed", "Failed", "Terminated"


@dataclass
class Instance:
    """`input` is JSON text, times are Unix seconds; `parent` is `{"id", "execution", "task"}` of the orchestration
    that waits for this one.

    `open` are the ids of tasks that have not ended, `next_id` the id of the next; `retries` maps the ids of open
    attempts, and of the timers between them, to the retry they belong to. What follows is not in the row: the
    history, and that of it which a replay needs as JSON."""

    id: str
    name: str
    input: str
    version: str
    created: float
    updated: float
    parent: dict[str, Any] | None = None
    execution: str = field(default_factory=lambda: uuid.uuid4().hex)
    status: str = PENDING
    output: Any = None
    custom_status: Any = None
    next_id: int = 0
    open: list[int] = field(default_factory=list)
    retries: dict[str, dict[str, Any]] = field(default_factory=dict)
    history: list[Event] = field(default_factory=list)
    replay: list[str] = field(default_factory=list)

    @property
    def is_live(self) -> bool:
        """Whether the instance has not ended."""
        return self.status in (PENDING, RUNNING, SUSPENDED)

    def row(self) -> dict[str, Any]:
        """What is stored of it."""
        return {name: value for name, value in vars(self).items() if name not in ("history", "replay")}

    def start_event(self) -> Event:
        """The event with which an execution begins."""
        identity = {"InstanceId": self.id, "ExecutionId": self.execution}
        facts = {"Name": self.name, "Version": self.version, "Input": self.input, "OrchestrationInstance": identity}
        return new_event(EventType.ExecutionStarted, **facts)
