"""One orchestration instance: its row, its statuses, and how far its code has been followed."""

from dataclasses import dataclass, field
from typing import Any

PENDING = "Pending"
RUNNING = "Running"
SUSPENDED = "Suspended"
COMPLETED = "Completed"
FAILED = "Failed"
TERMINATED = "Terminated"
LIVE = (PENDING, RUNNING, SUSPENDED)


@dataclass
class Progress:
    """What the host knows about the code of one execution.

    `scheduled` lists `[signature, task id]` of every action seen so far, in the order of the code; `pending`
    maps the ids of open tasks (entity calls: of open requests) to their kind; `retries` maps the ids of open
    attempts and of the timers between them to the retry they belong to; `raised` holds events by name."""

    scheduled: list[list[Any]] = field(default_factory=list)
    next_id: int = 0
    pending: dict[str, str] = field(default_factory=dict)
    retries: dict[str, dict[str, Any]] = field(default_factory=dict)
    raised: dict[str, list[str]] = field(default_factory=dict)

    def take_id(self, kind: str) -> int:
        """The next task id, now pending."""
        task = self.next_id
        self.next_id += 1
        self.pending[str(task)] = kind
        return task


@dataclass
class Instance:
    """A row of `instances`. `input`, `output` and `custom_status` are JSON text, times are Unix seconds;
    `parent` is `{"id", "execution", "task", "name"}` of the orchestration that waits for this one."""

    id: str
    execution: str
    name: str
    version: str
    input: str
    status: str
    created: float
    updated: float
    output: str | None = None
    custom_status: str | None = None
    parent: dict[str, Any] | None = None
    progress: Progress = field(default_factory=Progress)

    @property
    def is_live(self) -> bool:
        """Whether the instance has not ended."""
        return self.status in LIVE
