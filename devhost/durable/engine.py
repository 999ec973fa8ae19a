"""Runs orchestrations: wakes instances that have messages, replays their code, commits episode by episode."""

import asyncio
import json
import time
from collections import Counter, defaultdict
from itertools import count
from typing import Any

from aiohttp import ClientError

from devhost import frames
from devhost.background import Background, sleep_until
from devhost.durable.actions import HTTP_ACTIVITY, Outcome
from devhost.durable.call_http import call_http
from devhost.durable.entities import answer, is_entity, run_batch
from devhost.durable.episode import Episode
from devhost.durable.events import FAILURES, Event, EventType, Message, new_event, replayed, unix_seconds
from devhost.durable.instance import COMPLETED, FAILED, RUNNING, Instance
from devhost.errors import InvocationFailed, WorkerGone
from devhost.functions import Functions, UnknownFunction
from devhost.settings import Settings
from devhost.store import Store
from devhost.supervisor import Supervisor

_MOST_CRASHES = 5
# Messages and children need no second beginning: they are in the database.
_BEGUN_AGAIN = (EventType.TaskScheduled, EventType.TimerCreated)


class InvalidOperation(Exception):
    """What was asked for does not go with the state of the instance."""


class Engine:
    """The durable engine of one data folder. All its work runs on the host's loop.

    What it knows is in memory, and every change is in the database before it takes effect: a transaction holds the
    messages an episode consumed, its history, the instance's row, and the messages and instances it gave rise to.
    What an instance waits for is begun again after a start, so activities run at least once."""

    def __init__(self, store: Store, supervisor: Supervisor, settings: Settings, background: Background) -> None:
        self.functions = Functions([], settings)
        self._store, self._supervisor, self._background = store, supervisor, background
        self._slots = asyncio.Semaphore(settings.concurrent_orchestrators)
        self._activity_slots = asyncio.Semaphore(settings.concurrent_activities)
        self._driven: set[str] = set()
        self._crashes: Counter[str] = Counter()
        self.instances = {key: Instance(**row) for key, _, row in store.all("instance")}
        self._inboxes: defaultdict[str, list[Message]] = defaultdict(list)
        waiting = store.all("message")
        for target, number, (event, execution, task) in waiting:
            self._inboxes[target].append(Message(event, execution, task, number))
        self._numbers = count(waiting[-1][1] + 1 if waiting else 1)

    def start(self) -> None:
        """Takes up everything that is unfinished."""
        for instance in self.instances.values():
            if instance.is_live:
                self._resume(instance)
        for target in list(self._inboxes):
            self._wake(target)

    def _resume(self, instance: Instance) -> None:
        """Loads the history, and begins again the activities and timers that the instance waits for."""
        instance.history = self.history(instance.id)
        instance.replay = [replayed(instance.history)]
        for event in instance.history:
            if event["EventId"] in instance.open and event["EventType"] in _BEGUN_AGAIN:
                self._begin(instance, event)

    # what may be asked for from outside

    def history(self, instance_id: str) -> list[Event]:
        """All events of the present execution."""
        return [event for episode in self._store.values("history", instance_id) for event in episode]

    def create(self, name: str, instance_id: str, text: str, version: str = "", parent: Any = None) -> None:
        """Starts an instance with the JSON text as its input; one of the same id that has ended is replaced.

        Raises InvalidOperation when one runs, and UnknownFunction."""
        self.functions.require("orchestrationtrigger", name)
        before, now = self.instances.get(instance_id), time.time()
        if before is not None and before.is_live:
            raise InvalidOperation(f"An Orchestration instance with the status {before.status} already exists.")
        instance = Instance(instance_id, name, text, version, now, now, parent)
        with self._store.transaction():
            self.purge(instance_id)
            self._store.put("instance", instance_id, instance.row())
            self.instances[instance_id] = instance
            self.send(instance_id, instance.start_event(), instance.execution)

    def purge(self, instance_id: str) -> None:
        """Forgets an instance."""
        with self._store.transaction():
            for kind in ("instance", "history", "message"):
                self._store.delete(kind, instance_id)
        self.instances.pop(instance_id, None)

    def entity_state(self, target: str) -> dict[str, Any] | None:
        """`{"state": JSON text}`, None when there is no such entity."""
        return self._store.get("entity", target)

    def send(self, target: str, event: Event, execution: str | None = None, task: int | None = None) -> None:
        """Queues an event for an entity or a live instance."""
        instance = self.instances.get(target)
        if is_entity(target) or (instance is not None and instance.is_live):
            number = next(self._numbers)
            self._store.put("message", target, [event, execution, task], number)
            self._deliver(target, Message(event, execution, task, number))

    def rewind(self, instance: Instance) -> None:
        """Lets a failed instance go on from before its failures, with the same task ids; failed children too.

        Raises InvalidOperation."""
        if instance.status != FAILED:
            raise InvalidOperation("The rewind operation is only supported on failed orchestration instances.")
        past = self.history(instance.id)
        if any("Retry" in event for event in past):
            # Neither does it work on Azure: there the replay does not ask for the timers between the attempts.
            raise InvalidOperation("An instance that used a retry policy cannot be rewound; restart it instead.")
        instance.open += [event["TaskScheduledId"] for event in past if event["EventType"] in FAILURES]
        ids = [event["InstanceId"] for event in past if event["EventId"] in instance.open and "Version" in event]
        children = [self.instances[child_id] for child_id in ids if child_id in self.instances]
        for child in children:
            if child.status == FAILED:
                self.rewind(child)
        instance.status, instance.output, instance.updated = RUNNING, None, time.time()
        undone = (*FAILURES, EventType.ExecutionCompleted)
        with self._store.transaction():
            self._store.delete("history", instance.id)
            self._store.put("history", instance.id, [event for event in past if event["EventType"] not in undone])
            self._store.put("instance", instance.id, instance.row())
            # Where the orchestrator itself raised, nothing else would wake it.
            self.send(instance.id, new_event(EventType.GenericEvent))
            for child in children:
                if not child.is_live:
                    # It ended after this instance had, and was not heard.
                    self._tell_parent(child)
        self._resume(instance)

    # messages

    def _deliver(self, target: str, message: Message) -> None:
        self._inboxes[target].append(message)
        self._wake(target)

    def _wake(self, target: str) -> None:
        """Lets the instance or entity look at its messages soon."""
        if target not in self._driven:
            self._driven.add(target)
            self._background.start(self._drive(target))

    async def _drive(self, target: str) -> None:
        step = self._entity_batch if is_entity(target) else self._episode
        try:
            progressed = True
            while progressed:
                async with self._slots:
                    progressed = await step(target)
        finally:
            self._driven.discard(target)

    def _remove(self, target: str, messages: list[Message]) -> None:
        for message in messages:
            self._inboxes[target].remove(message)
            if message.number is not None:
                self._store.delete("message", target, message.number)

    # episodes

    async def _episode(self, instance_id: str) -> bool:
        """One episode; False when no message could be taken."""
        instance = self.instances.get(instance_id)
        if instance is None or not instance.is_live:
            return False
        episode = Episode(instance, time.time(), self.functions)
        episode.take(self._inboxes[instance_id])
        if not episode.consumed:
            return False
        if episode.needs_replay:
            try:
                await self._replay(episode)
            except WorkerGone as error:
                # A replay can be repeated; but code that always brings the worker down must end.
                self._crashes[instance_id] += 1
                if self._crashes[instance_id] < _MOST_CRASHES:
                    return True
                episode.fail(str(error))
        self._crashes.pop(instance_id, None)
        with self._store.transaction():
            self._commit(instance, episode)
        return True

    async def _replay(self, episode: Episode) -> None:
        try:
            function = self.functions.require("orchestrationtrigger", episode.instance.name)
            _, body = await self._supervisor.call(function, _context(episode))
            episode.follow(Outcome(json.loads(frames.content(body))))
        except WorkerGone:
            raise
        except InvocationFailed as error:
            episode.follow(Outcome.of_failure(str(error)))
        except UnknownFunction as error:
            episode.fail(str(error))

    def _commit(self, before: Instance, episode: Episode) -> None:
        """Everything that follows from an episode."""
        instance = self.instances[before.id] = episode.instance
        self._remove(instance.id, episode.consumed)
        self._store.put("instance", instance.id, instance.row())
        if instance.execution != before.execution:
            self._begin_again(instance, episode.carried)
        else:
            self._store.put("history", instance.id, episode.events, number=len(instance.history))
            instance.history += episode.events
            instance.replay.append(replayed(episode.events))
        for event in episode.events:
            self._begin(instance, event)
        if not instance.is_live:
            self._store.delete("message", instance.id)
            del self._inboxes[instance.id]
            instance.history, instance.replay = [], []
            self._tell_parent(instance)

    def _begin_again(self, instance: Instance, carried: list[Event]) -> None:
        """Continue-as-new: what came from outside and was not used follows the start of the new execution."""
        kept = [message.event for message in self._inboxes.pop(instance.id) if message.execution is None]
        for kind in ("history", "message"):
            self._store.delete(kind, instance.id)
        instance.history, instance.replay = [], []
        self.send(instance.id, instance.start_event(), instance.execution)
        for event in carried + kept:
            self.send(instance.id, event)

    def _begin(self, instance: Instance, event: Event) -> None:
        """Does what a scheduling event says."""
        match event["EventType"]:
            case EventType.TaskScheduled:
                self._background.start(self._run_activity(instance.id, instance.execution, event))
            case EventType.TimerCreated:
                self._background.start(self._fire(instance.id, instance.execution, event))
            case EventType.EventSent:
                self.send(event["InstanceId"], event)
            case EventType.SubOrchestrationInstanceCreated:
                parent = {"id": instance.id, "execution": instance.execution, "task": event["EventId"]}
                try:
                    self.create(event["Name"], event["InstanceId"], event["Input"], event["Version"], parent)
                except (InvalidOperation, UnknownFunction) as error:
                    self._child_failed(parent, str(error))

    def _tell_parent(self, instance: Instance) -> None:
        """An instance that has ended answers the one that waits for it."""
        parent = instance.parent
        if parent is not None and instance.status == COMPLETED:
            fields = {"TaskScheduledId": parent["task"], "Result": json.dumps(instance.output)}
            ended = new_event(EventType.SubOrchestrationInstanceCompleted, **fields)
            self.send(parent["id"], ended, parent["execution"], parent["task"])
        elif parent is not None:
            self._child_failed(parent, instance.output)

    def _child_failed(self, parent: dict[str, Any], reason: str) -> None:
        fields = {"TaskScheduledId": parent["task"], "Reason": reason, "Details": ""}
        failed = new_event(EventType.SubOrchestrationInstanceFailed, **fields)
        self.send(parent["id"], failed, parent["execution"], parent["task"])

    async def _fire(self, instance_id: str, execution: str, event: Event) -> None:
        await sleep_until(unix_seconds(event["FireAt"]))
        instance = self.instances.get(instance_id)
        if instance is not None and instance.is_live:
            fired = new_event(EventType.TimerFired, TimerId=event["EventId"], FireAt=event["FireAt"])
            self._deliver(instance_id, Message(fired, execution, event["EventId"]))

    # activities and entities

    async def _run_activity(self, instance_id: str, execution: str, event: Event) -> None:
        name, task = event["Name"], event["EventId"]
        try:
            if name == HTTP_ACTIVITY:
                # Waiting for a slow server is not the app's work and takes no slot.
                result = json.dumps(await call_http(json.loads(event["Input"])))
            else:
                async with self._activity_slots:
                    function = self.functions.require("activitytrigger", name)
                    _, body = await self._supervisor.call(function, event["Input"].encode())
                result = frames.content(body).decode()
            ended = new_event(EventType.TaskCompleted, TaskScheduledId=task, Result=result)
        except InvocationFailed as error:
            # Also when the worker crashed: the real host leaves it to the retry policy to answer that.
            ended = _failed(name, task, error.summary, error.stack)
        except (UnknownFunction, ClientError, OSError, ValueError, TimeoutError) as error:
            ended = _failed(name, task, f"{type(error).__name__}: {error}")
        self.send(instance_id, ended, execution, task)

    async def _entity_batch(self, target: str) -> bool:
        """Runs all operations that are waiting as one batch; False when there are none."""
        messages = list(self._inboxes[target])
        operations = [json.loads(message.event["Input"]) for message in messages]
        if not messages:
            return False
        try:
            state = self.entity_state(target)
            result = await run_batch(target, state, operations, self.functions, self._supervisor)
        except WorkerGone:
            return True
        with self._store.transaction():
            self._remove(target, messages)
            if "entityExists" in result:
                self._store.delete("entity", target)
            if result.get("entityExists"):
                self._store.put("entity", target, {"state": result["entityState"]})
            for asked, one in zip(operations, result["results"], strict=True):
                if not asked["signal"]:
                    self.send(asked["parent"], answer(asked, one), asked["parentExecution"], asked["parentTask"])
        return True


def _failed(activity: str, task: int, message: str, stack: str = "") -> Event:
    """A failure in the extension's words; `Details` is the exception as JSON, which apps parse."""
    kind = {"$type": "System.Exception, System.Private.CoreLib", "ClassName": "System.Exception", "Data": None}
    details = json.dumps(kind | {"Message": message, "StackTraceString": stack or None, "HResult": -2146233088})
    reason = f"Activity function '{activity}' failed: {message}"
    return new_event(EventType.TaskFailed, TaskScheduledId=task, Reason=reason, Details=details)


def _context(episode: Episode) -> bytes:
    """The orchestrator's input, assembled from history that is already text."""
    instance = episode.instance
    # With IsPlayed unset: these are the events the code has not heard of.
    now = ",".join(json.dumps(event, separators=(",", ":")) for event in episode.events)
    head = {
        "instanceId": instance.id,
        "isReplaying": bool(instance.replay),
        "parentInstanceId": instance.parent["id"] if instance.parent else None,
        "upperSchemaVersion": 1,
        "upperSchemaVersionNew": 2,
        "longRunningTimerIntervalDuration": "3.00:00:00",
        "maximumShortTimerDuration": "6.00:00:00",
        "defaultHttpAsyncRequestSleepTimeMillseconds": 30000,
    }
    text = ",".join(fragment for fragment in [*instance.replay, now] if fragment)
    return f'{{"history":[{text}],"input":{instance.input},{json.dumps(head)[1:]}'.encode()
