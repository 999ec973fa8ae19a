"""Runs orchestrations: wakes instances that have messages, replays their code, commits episode by episode."""

import asyncio
import heapq
import json
import logging
import time
import uuid
from collections import Counter
from typing import Any

from devhost.background import Background
from devhost.durable import history
from devhost.durable.actions import Outcome
from devhost.durable.activities import Activities
from devhost.durable.entities import Entities, is_entity
from devhost.durable.episode import Episode, UnknownFunction, new_instance, start_message
from devhost.durable.history import Event
from devhost.durable.instance import PENDING, Instance
from devhost.durable.store import Message, Store
from devhost.errors import InvocationFailed, WorkerGone
from devhost.functions import Functions
from devhost.host_file import HostFile
from devhost.supervisor import Supervisor

_log = logging.getLogger("devhost.durable")

_CACHED_HISTORIES = 2000
_MOST_CRASHES = 5


class AlreadyRunning(Exception):
    """An instance with that id has not ended."""


class Engine:
    """The durable engine of one data folder. All its work runs on the host's loop."""

    def __init__(self, store: Store, supervisor: Supervisor, host_file: HostFile) -> None:
        self.store = store
        self.functions = Functions()
        self._supervisor = supervisor
        self._slots = asyncio.Semaphore(host_file.concurrent_orchestrators)
        self._activities = Activities(self, supervisor, host_file.concurrent_activities)
        self._entities = Entities(self, supervisor, self._slots)
        self._running: set[str] = set()
        self._background = Background()
        self._crashes: Counter[str] = Counter()
        self._again: set[str] = set()
        self._timers: list[tuple[float, str]] = []
        self._alarm: asyncio.TimerHandle | None = None
        self._replays: dict[str, tuple[str, list[str]]] = {}
        self._stopped = False

    def start(self) -> None:
        """Takes up everything the database says is unfinished."""
        for target, due in self.store.waiting():
            self.wake_at(target, due)
        for activity in self.store.queued():
            self._activities.start(activity)

    async def stop(self) -> None:
        """Stops after the commits under way; what was running runs again after the next start."""
        self._stopped = True
        if self._alarm is not None:
            self._alarm.cancel()
        await self._activities.stop()
        await self._background.stop()

    # messages

    def begin(self, name: str, instance_id: str, input_text: str, version: str | None) -> Instance:
        """Creates an instance; one of the same id that has ended is replaced. Raises AlreadyRunning and
        UnknownFunction."""
        self.check_name("orchestrator", name)
        with self.store.transaction():
            instance = self._create(new_instance(instance_id, name, input_text, version, time.time()))
        self.wake(instance_id)
        return instance

    def _create(self, instance: Instance) -> Instance:
        before = self.store.instance(instance.id)
        if before is not None and before.is_live:
            raise AlreadyRunning(f"An Orchestration instance with the status {before.status} already exists.")
        self.store.delete(instance.id)
        self._replays.pop(instance.id, None)
        self.store.save(instance)
        self.store.post(start_message(instance))
        return instance

    def send(self, target: str, event: Event) -> None:
        """Queues an event for an instance or entity from outside."""
        self.store.post(Message(target, event))
        self.wake(target)

    def purge(self, instance_id: str) -> None:
        """Forgets an instance."""
        with self.store.transaction():
            self.store.delete(instance_id)
        self._replays.pop(instance_id, None)

    def forget_replay(self, instance_id: str) -> None:
        """The history of the instance was rewritten."""
        self._replays.pop(instance_id, None)

    def activities_queued(self, instance_id: str) -> None:
        """Starts activities that were put into the database outside an episode."""
        for activity in self.store.queued():
            if activity.instance == instance_id:
                self._activities.start(activity)

    def check_name(self, kind: str, name: str) -> None:
        """Raises UnknownFunction unless the app has that orchestrator, activity or entity."""
        known = {
            "orchestrator": self.functions.orchestrators,
            "activity": self.functions.activities,
            "entity": self.functions.entities,
        }[kind]
        if name.lower() in known:
            return
        names = ", ".join(f"'{function.name}'" for function in known.values())
        listed = (
            f"The following are the known {kind} functions: {names}."
            if names
            else (f"No {kind} functions are currently registered!")
        )
        raise UnknownFunction(
            f"The function '{name}' doesn't exist, is disabled, or is not an {kind} function. Additional info: {listed}"
        )

    # waking

    def wake(self, target: str) -> None:
        """Lets the instance or entity look at its messages soon."""
        if self._stopped:
            return
        if target in self._running:
            self._again.add(target)
            return
        self._running.add(target)
        self._background.start(self._drive(target))

    def wake_at(self, target: str, due: float) -> None:
        """Wakes the target when `due` has come."""
        if due <= time.time():
            self.wake(target)
            return
        heapq.heappush(self._timers, (due, target))
        if self._timers[0] == (due, target):
            self._set_alarm()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        if self._timers and not self._stopped:
            # A long sleep is cut, so that a machine that slept or a changed clock is noticed.
            delay = min(max(self._timers[0][0] - time.time(), 0), 60)
            self._alarm = asyncio.get_running_loop().call_later(delay, self._ring)

    def _ring(self) -> None:
        now = time.time()
        while self._timers and self._timers[0][0] <= now:
            self.wake(heapq.heappop(self._timers)[1])
        self._set_alarm()

    async def _drive(self, target: str) -> None:
        try:
            while True:
                self._again.discard(target)
                step = self._entities.step if is_entity(target) else self._episode
                progressed = await step(target)
                if not progressed and target not in self._again:
                    return
        finally:
            self._running.discard(target)
            self._again.discard(target)

    # episodes

    async def _episode(self, instance_id: str) -> bool:
        """One episode; False when no message could be taken."""
        async with self._slots:
            instance = self.store.instance(instance_id)
            messages = self.store.due_messages(instance_id)
            if instance is None or not instance.is_live:
                if messages:
                    self.store.clear_messages(instance_id)
                return False
            if not messages:
                return False
            episode = Episode(instance, time.time(), self.check_name)
            episode.take(messages)
            if not episode.consumed:
                return False
            fragments = self._fragments(instance)
            execution, before = instance.execution, instance.status
            if episode.needs_replay:
                try:
                    await self._replay(episode, fragments)
                except WorkerGone as error:
                    # A replay can be repeated; but code that always brings the worker down must end.
                    self._crashes[instance_id] += 1
                    if self._crashes[instance_id] < _MOST_CRASHES:
                        return True
                    episode.fail_to_run(str(error))
            self._crashes.pop(instance_id, None)
            self._commit(episode, execution, fragments)
            if before == PENDING or not instance.is_live:
                _log.debug("%s: '%s' is %s.", instance.id, instance.name, instance.status)
            return True

    def _fragments(self, instance: Instance) -> list[str]:
        """The replayed history, one JSON fragment an episode; read from the database when not at hand."""
        known = self._replays.pop(instance.id, None)
        if known is None or known[0] != instance.execution:
            episodes = self.store.history(instance.id)
            known = (instance.execution, [history.replayed(events) for events in episodes])
        self._replays[instance.id] = known
        if len(self._replays) > _CACHED_HISTORIES:
            del self._replays[next(iter(self._replays))]
        return known[1]

    async def _replay(self, episode: Episode, fragments: list[str]) -> None:
        instance = episode.instance
        try:
            self.check_name("orchestrator", instance.name)
        except UnknownFunction as error:
            episode.fail_to_run(str(error))
            return
        function = self.functions.orchestrators[instance.name.lower()]
        try:
            _, body = await self._supervisor.call(
                function, {"invocation": str(uuid.uuid4())}, context_json(episode, fragments)
            )
            outcome = Outcome.from_text(body.decode())
        except InvocationFailed as error:
            outcome = Outcome.from_failure(error.message)
        episode.follow(outcome)

    def _commit(self, episode: Episode, execution: str, fragments: list[str]) -> None:
        """Everything that follows from an episode, or nothing of it."""
        instance, store = episode.instance, self.store
        instance.updated = episode.now
        queued = []
        with store.transaction():
            current = store.instance(instance.id)
            if current is None or current.execution != execution:
                # Purged or replaced while its code ran: nothing of this execution may be written.
                return
            store.remove(episode.consumed)
            self._remove_timers(instance.id, execution, episode.cancelled_timers)
            if instance.execution != execution:
                self._begin_again(episode)
            else:
                store.append(instance.id, len(fragments), episode.events)
                for message in episode.messages:
                    store.post(message)
            for child in episode.children:
                self._create_child(child)
            queued = [store.queue(activity) for activity in episode.activities]
            if not instance.is_live:
                store.clear_messages(instance.id)
            store.save(instance)
        if instance.execution == execution and instance.is_live:
            fragments.append(history.replayed(episode.events))
        else:
            self._replays.pop(instance.id, None)
        for message in episode.messages:
            self.wake_at(message.target, message.due)
        for child in episode.children:
            self.wake(child.id)
        for activity in queued:
            self._activities.start(activity)

    def _begin_again(self, episode: Episode) -> None:
        """Continue-as-new: messages of the old execution go, what came from outside follows the start."""
        instance_id = episode.instance.id
        kept = [m for m in self.store.all_messages(instance_id) if m.execution is None]
        self.store.clear_messages(instance_id)
        self.store.clear_history(instance_id)
        for message in episode.messages + kept:
            self.store.post(message)

    def _create_child(self, child: Instance) -> None:
        try:
            self._create(child)
        except AlreadyRunning as error:
            assert child.parent is not None
            failed = history.event(
                history.SUB_ORCHESTRATION_FAILED,
                TaskScheduledId=child.parent["task"],
                Reason=str(error),
                Details="",
            )
            self.store.post(Message(child.parent["id"], failed, child.parent["execution"]))
            self._again.add(child.parent["id"])

    def _remove_timers(self, instance_id: str, execution: str, timers: set[int]) -> None:
        if timers:
            self.store.remove(
                message.seq
                for message in self.store.all_messages(instance_id)
                if message.execution == execution and message.event.get("TimerId") in timers
            )


def context_json(episode: Episode, fragments: list[str]) -> bytes:
    """The orchestrator's input, assembled from history that is already text."""
    instance = episode.instance
    # With IsPlayed unset: these are the events the code has not heard of.
    now = ",".join(json.dumps(event, separators=(",", ":")) for event in episode.events)
    head: dict[str, Any] = {
        "instanceId": instance.id,
        "isReplaying": bool(fragments),
        "parentInstanceId": instance.parent["id"] if instance.parent else None,
        "upperSchemaVersion": 1,
        "upperSchemaVersionNew": 2,
        "longRunningTimerIntervalDuration": "3.00:00:00",
        "maximumShortTimerDuration": "6.00:00:00",
        "defaultHttpAsyncRequestSleepTimeMillseconds": 30000,
    }
    text = ",".join([fragment for fragment in fragments if fragment] + [now])
    return f'{{"history":[{text}],"input":{instance.input},{json.dumps(head)[1:]}'.encode()
