"""The actions an orchestrator asks for, read from the state that the durable SDK returns on every replay."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Action = dict[str, Any]

CALL_ACTIVITY = 0
CALL_ACTIVITY_WITH_RETRY = 1
CALL_SUB_ORCHESTRATOR = 2
CALL_SUB_ORCHESTRATOR_WITH_RETRY = 3
CONTINUE_AS_NEW = 4
CREATE_TIMER = 5
WAIT_FOR_EVENT = 6
CALL_ENTITY = 7
CALL_HTTP = 8
SIGNAL_ENTITY = 9
_COMPOUND = (11, 12)

# How the framework calls what an action becomes, in its reports of non-determinism.
TASK_KINDS = {
    CALL_ACTIVITY: "activity",
    CALL_ACTIVITY_WITH_RETRY: "activity",
    CALL_HTTP: "activity",
    CALL_SUB_ORCHESTRATOR: "sub-orchestration",
    CALL_SUB_ORCHESTRATOR_WITH_RETRY: "sub-orchestration",
    CREATE_TIMER: "timer",
    CALL_ENTITY: "entity call",
    SIGNAL_ENTITY: "entity signal",
    CONTINUE_AS_NEW: "continue-as-new",
}

_MARK = "\n\n$OutOfProcData$:"


@dataclass
class Outcome:
    """What one replay gave: all `actions` so far, the `waits` among them, and how it ended, if it did."""

    actions: list[Action]
    waits: list[str]
    is_done: bool = False
    output: str | None = None
    error: str | None = None
    custom_status: str | None = None

    @classmethod
    def from_text(cls, text: str) -> "Outcome":
        """Reads the state JSON of the SDK."""
        state: dict[str, Any] = json.loads(text)
        leaves = list(_flatten(state["actions"][0] if state.get("actions") else []))
        custom = state.get("customStatus")
        return cls(
            actions=[leaf for leaf in leaves if leaf["actionType"] != WAIT_FOR_EVENT],
            waits=[leaf["externalEventName"] for leaf in leaves if leaf["actionType"] == WAIT_FOR_EVENT],
            is_done=state.get("isDone", False),
            output=json.dumps(state.get("output")),
            error=state.get("error"),
            custom_status=None if custom is None else json.dumps(custom),
        )

    @classmethod
    def from_failure(cls, message: str) -> "Outcome":
        """Reads the exception by which the SDK reports that the orchestrator raised."""
        text, mark, state = message.partition(_MARK)
        outcome = cls.from_text(state) if mark else cls([], [])
        outcome.error = outcome.error or text
        return outcome


def _flatten(actions: list[Action]) -> Iterator[Action]:
    for action in actions:
        if action["actionType"] in _COMPOUND:
            yield from _flatten(action["compoundActions"])
        else:
            yield action


def name_of(action: Action) -> str:
    """The function, entity or built-in that an action is about."""
    if action["actionType"] == CALL_HTTP:
        return "BuiltIn::HttpActivity"
    return action.get("functionName") or action.get("instanceId") or ""


def signature(action: Action) -> str:
    """What must not change between replays of an action."""
    return f"{TASK_KINDS[action['actionType']]}:{name_of(action).lower()}"
