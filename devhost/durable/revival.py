"""Rewind: a failed instance goes on from before its failures, with the same task ids."""

import time
from typing import TYPE_CHECKING

from devhost.durable import history
from devhost.durable.history import Event
from devhost.durable.instance import FAILED, RUNNING, Instance
from devhost.durable.store import Activity, Message

if TYPE_CHECKING:
    from devhost.durable.engine import Engine

_FAILURES = (history.TASK_FAILED, history.SUB_ORCHESTRATION_FAILED)


class NotRewindable(Exception):
    """The retries of the SDK are not actions of the code, so their ids cannot be given out again."""


def rewind(engine: "Engine", instance: Instance) -> None:
    """Takes the failures out of the history and queues what failed again; failed children are rewound too."""
    store = engine.store
    episodes = store.history(instance.id)
    events = [event for episode in episodes for event in episode]
    scheduled = {event["EventId"]: event for event in events if event["EventId"] >= 0}
    failed = [scheduled[event["TaskScheduledId"]] for event in events if event["EventType"] in _FAILURES]
    if not {event["EventId"] for event in events if event["EventId"] >= 0} <= _asked_for(instance):
        raise NotRewindable("devhost cannot rewind an instance that used a retry policy; restart it instead.")
    children = [child for child in map(_child_id, failed) if child is not None]
    with store.transaction():
        store.clear_history(instance.id)
        for number, episode in enumerate(episodes):
            store.append(instance.id, number, [event for event in episode if not _is_undone(event)])
        for event in failed:
            task = event["EventId"]
            kind = "activity" if event["EventType"] == history.TASK_SCHEDULED else "sub-orchestration"
            instance.progress.pending[str(task)] = kind
            if kind == "activity":
                activity = Activity(instance.id, instance.execution, task, event["Name"], event["Input"])
                store.queue(activity)
        instance.status, instance.output, instance.updated = RUNNING, None, time.time()
        store.save(instance)
        if not failed:
            # The orchestrator itself raised: nothing will wake it but this.
            store.post(Message(instance.id, history.event(history.GENERIC)))
    engine.forget_replay(instance.id)
    for child_id in children:
        child = store.instance(child_id)
        if child is not None and child.status == FAILED:
            rewind(engine, child)
    engine.activities_queued(instance.id)
    engine.wake(instance.id)


def _asked_for(instance: Instance) -> set[int]:
    return {task for _, task in instance.progress.scheduled}


def _is_undone(event: Event) -> bool:
    return event["EventType"] in (*_FAILURES, history.EXECUTION_COMPLETED)


def _child_id(event: Event) -> str | None:
    return event["InstanceId"] if event["EventType"] == history.SUB_ORCHESTRATION_CREATED else None
