"""One episode of an orchestration: which messages enter it, and what follows from the replay.

Pure computation: the engine reads the messages before it and commits its lists in one transaction after."""

import json
import uuid
from collections.abc import Callable
from typing import Any

from devhost.durable import actions, history
from devhost.durable.actions import Action, Outcome
from devhost.durable.history import Event
from devhost.durable.instance import COMPLETED, FAILED, RUNNING, SUSPENDED, TERMINATED, Instance, Progress
from devhost.durable.store import Activity, Message

_ACTIVITY, _CHILD, _TIMER, _ENTITY = "activity", "sub-orchestration", "timer", "entity"


class NonDeterministic(Exception):
    """The code no longer asks for what it asked for before; told in the framework's words."""

    def __init__(self, kind: str, before: str, now: str) -> None:
        super().__init__(
            "Non-Deterministic workflow detected: A previous execution of this orchestration scheduled "
            f"a {kind} task with {before}, but the current {now}. Was a change made to the orchestrator code "
            "after this instance had already started running?"
        )


class UnknownFunction(Exception):
    """The code asks for an activity or orchestrator that the app does not have."""


class Episode:
    """Collects the consequences of one episode of `instance`, whose fields and progress it updates."""

    def __init__(self, instance: Instance, now: float, check_name: Callable[[str, str], None]) -> None:
        self.instance = instance
        self.now = now
        self._check_name = check_name
        self.consumed: list[int] = []
        self.events: list[Event] = []
        self.messages: list[Message] = []
        self.activities: list[Activity] = []
        self.children: list[Instance] = []
        self.cancelled_timers: set[int] = set()
        self.continued_with: str | None = None
        self.is_terminated = False

    # taking messages in

    def take(self, messages: list[Message]) -> None:
        """Lets messages enter, in order, as far as they may; the rest stays for a later episode."""
        self._append(history.event(history.ORCHESTRATOR_STARTED))
        starts = [m for m in messages if m.event["EventType"] == history.EXECUTION_STARTED]
        others = [m for m in messages if m.event["EventType"] != history.EXECUTION_STARTED]
        # The SDK expects the start as the second event, even if something was raised before.
        for message in starts + others:
            if message.execution is not None and message.execution != self.instance.execution:
                self.consumed.append(message.seq)
            elif not self._take_one(message):
                return

    @property
    def needs_replay(self) -> bool:
        """Whether something entered that the code must hear of."""
        quiet = (history.ORCHESTRATOR_STARTED, history.EXECUTION_SUSPENDED, history.EXECUTION_RESUMED)
        return not self.is_terminated and any(event["EventType"] not in quiet for event in self.events)

    def _take_one(self, message: Message) -> bool:
        """Takes a message, drops it or leaves it; False when nothing after it may enter."""
        kind = message.event["EventType"]
        if kind == history.EXECUTION_TERMINATED:
            self.consumed.append(message.seq)
            self._append(message.event)
            self.is_terminated = True
            self._finish(TERMINATED, json.dumps(message.event["Input"]), message.event["Input"])
            return False
        if kind in (history.EXECUTION_SUSPENDED, history.EXECUTION_RESUMED):
            self.instance.status = SUSPENDED if kind == history.EXECUTION_SUSPENDED else RUNNING
            self.consumed.append(message.seq)
            self._append(message.event)
            return True
        if self.instance.status == SUSPENDED:
            return True
        return self._take_work(message, kind)

    def _take_work(self, message: Message, kind: int) -> bool:
        progress = self.instance.progress
        if kind in history.COMPLETION_KEY:
            task = str(message.event[history.COMPLETION_KEY[kind]])
            if task not in progress.pending:
                self.consumed.append(message.seq)
                return True
            retry = progress.retries.get(task)
            takes_id = kind in (history.TASK_FAILED, history.SUB_ORCHESTRATION_FAILED, history.TIMER_FIRED)
            # Code that hears of an earlier event may take ids before the retry does: it must come first.
            if retry is not None and takes_id and self._has_heard():
                return False
            del progress.pending[task]
            self._append(message.event)
            if retry is not None:
                self._follow_retry(task, retry, kind)
        elif kind == history.EVENT_RAISED:
            name = message.event["Name"]
            if message.execution is None:
                progress.raised.setdefault(name, []).append(message.event["Input"])
            elif progress.pending.pop(name, None) is None:
                self.consumed.append(message.seq)
                return True
            self._append(message.event)
        else:
            self._append(message.event)
        self.consumed.append(message.seq)
        return True

    def _has_heard(self) -> bool:
        """Whether an event has entered that lets the code go on."""
        return any(e["EventType"] in history.COMPLETION_KEY or "Input" in e for e in self.events)

    def _follow_retry(self, task: str, retry: dict[str, Any], kind: int) -> None:
        """The SDK takes the next id for a timer after every failure, and for the attempt after the timer."""
        progress = self.instance.progress
        del progress.retries[task]
        options = retry["action"]["retryOptions"]
        if kind == history.TIMER_FIRED:
            if retry["attempts"] < options["maxNumberOfAttempts"]:
                again = retry | {"attempts": retry["attempts"] + 1}
                new = self._start_call(retry["action"])
                progress.retries[str(new)] = again
        elif kind in (history.TASK_FAILED, history.SUB_ORCHESTRATION_FAILED):
            # After the last failure the SDK waits for one more timer before it raises.
            last = retry["attempts"] >= options["maxNumberOfAttempts"]
            pause = 0.0 if last else options["firstRetryIntervalInMilliseconds"] / 1000
            timer = self._start_timer(self.now + pause)
            progress.retries[str(timer)] = retry

    # following the code

    def follow(self, outcome: Outcome) -> None:
        """Applies what the replay asked for."""
        if self.instance.status != SUSPENDED:
            self.instance.status = RUNNING
        if outcome.custom_status is not None:
            self.instance.custom_status = outcome.custom_status
        try:
            self._compare(outcome)
            for action in outcome.actions[len(self.instance.progress.scheduled) :]:
                self._start(action)
        except (NonDeterministic, UnknownFunction) as error:
            self._fail(str(error))
            return
        if outcome.error is not None:
            self._fail(outcome.error)
        elif outcome.is_done and self.continued_with is not None:
            self._continue_as_new(outcome.waits)
        elif outcome.is_done:
            self._finish(COMPLETED, outcome.output or "null", None)
        else:
            self._append(history.event(history.ORCHESTRATOR_COMPLETED))

    def fail_to_run(self, message: str) -> None:
        """The orchestrator could not be called at all."""
        self._fail(message)

    def _fail(self, message: str) -> None:
        text = f"Orchestrator function '{self.instance.name}' failed: {message}"
        self._finish(FAILED, json.dumps(text), text)

    def _compare(self, outcome: Outcome) -> None:
        scheduled = self.instance.progress.scheduled
        for position, (before, task) in enumerate(scheduled):
            action = outcome.actions[position] if position < len(outcome.actions) else None
            kind, _, name = before.partition(":")
            about = f"sequence ID {task}" + (f" and name '{name}'" if name else "")
            if action is None:
                # A code that raised or ended early may simply have stopped asking.
                if outcome.error is not None:
                    return
                raise NonDeterministic(kind, about, "replay execution hasn't (yet?) scheduled this task")
            now = actions.signature(action)
            if now != before:
                other = f"{now.partition(':')[0]} '{actions.name_of(action)}'"
                what = f"orchestration replay instead scheduled {other} at this sequence number"
                raise NonDeterministic(kind, about, what)
            if action.get("isCanceled") and self.instance.progress.pending.pop(str(task), None):
                self.cancelled_timers.add(task)

    def _start(self, action: Action) -> None:
        kind = action["actionType"]
        progress = self.instance.progress
        task = progress.next_id
        if kind in (actions.CALL_ACTIVITY_WITH_RETRY, actions.CALL_SUB_ORCHESTRATOR_WITH_RETRY):
            progress.retries[str(self._start_call(action))] = {"action": action, "attempts": 1}
        elif kind in (actions.CALL_ACTIVITY, actions.CALL_SUB_ORCHESTRATOR, actions.CALL_HTTP):
            self._start_call(action)
        elif kind == actions.CREATE_TIMER:
            timer = self._start_timer(history.seconds(action["fireAt"]))
            if action.get("isCanceled"):
                progress.pending.pop(str(timer))
                self.cancelled_timers.add(timer)
        elif kind in (actions.CALL_ENTITY, actions.SIGNAL_ENTITY):
            self._send_to_entity(action)
        else:
            progress.next_id += 1
            self.continued_with = action.get("input")
        progress.scheduled.append([actions.signature(action), task])

    def _start_call(self, action: Action) -> int:
        kind, name = action["actionType"], actions.name_of(action)
        if kind in (actions.CALL_SUB_ORCHESTRATOR, actions.CALL_SUB_ORCHESTRATOR_WITH_RETRY):
            self._check_name("orchestrator", name)
            return self._start_child(action, name)
        if kind == actions.CALL_HTTP:
            text = json.dumps(action["httpRequest"])
        else:
            self._check_name("activity", name)
            text = action.get("input") or "null"
        task = self.instance.progress.take_id(_ACTIVITY)
        self._append(history.event(history.TASK_SCHEDULED, task, Name=name, Input=text))
        self.activities.append(Activity(self.instance.id, self.instance.execution, task, name, text))
        return task

    def _start_child(self, action: Action, name: str) -> int:
        task = self.instance.progress.take_id(_CHILD)
        child_id = action.get("instanceId") or f"{self.instance.execution}:{task:X}"
        created = history.event(history.SUB_ORCHESTRATION_CREATED, task, Name=name, InstanceId=child_id)
        self._append(created | {"Input": json.dumps(action.get("input"))})
        parent = {"id": self.instance.id, "execution": self.instance.execution, "task": task}
        child = new_instance(child_id, name, json.dumps(action.get("input")), action.get("version"), self.now)
        child.parent = parent | {"name": self.instance.name}
        self.children.append(child)
        return task

    def _start_timer(self, due: float) -> int:
        task = self.instance.progress.take_id(_TIMER)
        at = history.timestamp(due)
        self._append(history.event(history.TIMER_CREATED, task, FireAt=at))
        fired = history.event(history.TIMER_FIRED, TimerId=task, FireAt=at)
        self.messages.append(Message(self.instance.id, fired, self.instance.execution, due))
        return task

    def _send_to_entity(self, action: Action) -> None:
        progress, target = self.instance.progress, action["instanceId"]
        is_signal = action["actionType"] == actions.SIGNAL_ENTITY
        task = progress.next_id
        progress.next_id += 1
        request = {
            "op": action["operation"],
            "signal": is_signal,
            "input": json.dumps(action.get("input")),
            "id": str(uuid.uuid4()),
            "parent": self.instance.id,
            "parentExecution": self.instance.execution,
        }
        if not is_signal:
            progress.pending[request["id"]] = _ENTITY
        sent = history.event(history.EVENT_SENT, task, Name="op", InstanceId=target, Input=json.dumps(request))
        self._append(sent)
        self.messages.append(Message(target, sent))

    # ends

    def _finish(self, status: str, output: str, failure: str | None) -> None:
        instance = self.instance
        instance.status, instance.output = status, output
        done = history.event(history.EXECUTION_COMPLETED, OrchestrationStatus=status, Result=output)
        self._append(done)
        self._append(history.event(history.ORCHESTRATOR_COMPLETED))
        if instance.parent is None:
            return
        task = instance.parent["task"]
        if failure is None:
            ended = history.event(history.SUB_ORCHESTRATION_COMPLETED, TaskScheduledId=task, Result=output)
        else:
            ended = history.event(history.SUB_ORCHESTRATION_FAILED, TaskScheduledId=task, Reason=failure, Details="")
        self.messages.append(Message(instance.parent["id"], ended, instance.parent["execution"]))

    def _continue_as_new(self, waits: list[str]) -> None:
        """A fresh execution with the new input; events that no wait has used go with it."""
        instance, raised = self.instance, self.instance.progress.raised
        self._append(history.event(history.ORCHESTRATOR_COMPLETED))
        # A message without an execution belongs to whichever execution is running then.
        self.messages = [message for message in self.messages if message.target != instance.id]
        instance.execution = uuid.uuid4().hex
        instance.input = json.dumps(self.continued_with)
        instance.progress = Progress()
        self.messages.append(start_message(instance))
        for name, inputs in raised.items():
            for text in inputs[waits.count(name) :]:
                self.messages.append(Message(instance.id, history.event(history.EVENT_RAISED, Name=name, Input=text)))

    def _append(self, event: Event) -> None:
        self.events.append(event | {"Timestamp": history.timestamp(self.now)})


def new_instance(instance_id: str, name: str, input_text: str, version: str | None, now: float) -> Instance:
    """A pending instance; `input_text` is JSON text."""
    return Instance(instance_id, uuid.uuid4().hex, name, version or "", input_text, "Pending", now, now)


def start_message(instance: Instance) -> Message:
    """The message that lets an execution begin."""
    started = history.event(
        history.EXECUTION_STARTED,
        Name=instance.name,
        Version=instance.version,
        Input=instance.input,
        OrchestrationInstance={"InstanceId": instance.id, "ExecutionId": instance.execution},
    )
    return Message(instance.id, started, instance.execution)
