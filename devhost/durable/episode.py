"""One episode of an orchestration: which messages enter it, and what follows from the replay.

Pure computation on a draft of the instance: the engine commits what it has collected in one transaction, or drops
it all."""

import copy
import json
import uuid
from itertools import zip_longest
from typing import Any

from devhost.durable.actions import Action, ActionType, Outcome, difference, scheduling_event
from devhost.durable.events import FAILURES, Event, EventType, Message, new_event, timestamp
from devhost.durable.instance import COMPLETED, FAILED, RUNNING, SUSPENDED, TERMINATED, Instance
from devhost.functions import Functions, UnknownFunction

_QUIET = (EventType.OrchestratorStarted, EventType.ExecutionSuspended, EventType.ExecutionResumed)


class Episode:
    """Collects the consequences of one episode in `instance`, the draft, and in the lists: messages `consumed`, new
    `events`, and with continue-as-new events that are `carried` into the next execution."""

    def __init__(self, instance: Instance, now: float, functions: Functions) -> None:
        self.instance = copy.copy(instance)
        self.instance.open, self.instance.retries = list(instance.open), dict(instance.retries)
        self.instance.updated = now
        self.consumed: list[Message] = []
        self.events: list[Event] = []
        self.carried: list[Event] = []
        self._now, self._functions = now, functions

    # taking messages in

    def take(self, inbox: list[Message]) -> None:
        """Lets messages enter, in order, as far as they may; the rest stays for a later episode."""
        self._add(new_event(EventType.OrchestratorStarted))
        # The SDK expects the start as the second event, even if something was raised before.
        starts = [message for message in inbox if message.event["EventType"] == EventType.ExecutionStarted]
        for message in starts + [message for message in inbox if message not in starts]:
            if not self._take_one(message):
                return

    @property
    def needs_replay(self) -> bool:
        """Whether something entered that the code must hear of."""
        return self.instance.is_live and any(event["EventType"] not in _QUIET for event in self.events)

    def _take_one(self, message: Message) -> bool:
        """Takes a message in, drops it or leaves it; False when nothing after it may enter."""
        instance, event, task = self.instance, message.event, message.task
        kind, retry = event["EventType"], instance.retries.get(str(task))
        if message.execution not in (None, instance.execution) or (task is not None and task not in instance.open):
            # A repetition, or the end of what nobody waits for any more.
            self.consumed.append(message)
            return True
        if kind in (EventType.ExecutionSuspended, EventType.ExecutionResumed):
            instance.status = SUSPENDED if kind == EventType.ExecutionSuspended else RUNNING
        elif instance.status == SUSPENDED and kind != EventType.ExecutionTerminated:
            return True
        elif retry and kind in (*FAILURES, EventType.TimerFired) and self.needs_replay:
            # Code that hears of an earlier event may take ids before the retry does: it must come first.
            return False
        self.consumed.append(message)
        self._add(event)
        if kind == EventType.ExecutionTerminated:
            self._finish(TERMINATED, event["Input"])
            return False
        if task is not None:
            instance.open.remove(task)
        if retry:
            self._follow_retry(instance.retries.pop(str(task)), kind)
        return True

    def _follow_retry(self, retry: dict[str, Any], kind: int) -> None:
        """The SDK takes the next id for a timer after every failure, and for the attempt after the timer."""
        action, options = retry["action"], retry["action"]["retryOptions"]
        is_last = retry["attempts"] >= options["maxNumberOfAttempts"]
        if kind in FAILURES:
            # After the last failure the SDK waits for one more timer before it raises.
            due = self._now + (0 if is_last else options["firstRetryIntervalInMilliseconds"] / 1000)
            timer = self._schedule({"actionType": ActionType.CreateTimer, "fireAt": timestamp(due)}, Retry=True)
            self.instance.retries[str(timer)] = retry
        elif kind == EventType.TimerFired and not is_last:
            again = self._schedule(action, Retry=True)
            self.instance.retries[str(again)] = retry | {"attempts": retry["attempts"] + 1}

    # following the code

    def follow(self, outcome: Outcome) -> None:
        """Applies what the replay asked for."""
        instance = self.instance
        if instance.status != SUSPENDED:
            instance.status = RUNNING
        if outcome.custom_status is not None:
            instance.custom_status = outcome.custom_status
        asked = [event for event in instance.history if event["EventId"] >= 0 and "Retry" not in event]
        for event, action in zip_longest(asked, outcome.actions[: len(asked)]):
            if action is None and outcome.error is not None:
                break  # Code that raised may simply have stopped asking.
            if surprise := difference(event, action):
                return self._finish(FAILED, surprise)
            if action and action.get("isCanceled") and event["EventId"] in instance.open:
                instance.open.remove(event["EventId"])
        try:
            new_actions = outcome.actions[len(asked) :]
            again = [action for action in new_actions if action["actionType"] == ActionType.ContinueAsNew]
            for action in new_actions:
                if action not in again:
                    self._start(action)
        except UnknownFunction as error:
            return self.fail(str(error))
        if outcome.error is not None:
            return self.fail(outcome.error)
        if not outcome.is_done:
            return self._add(new_event(EventType.OrchestratorCompleted))
        return self._continue_as_new(again[0], outcome) if again else self._finish(COMPLETED, outcome.output)

    def _start(self, action: Action) -> None:
        if action["actionType"] in (ActionType.CallActivity, ActionType.CallActivityWithRetry):
            self._functions.require("activitytrigger", action["functionName"])
        elif "functionName" in action:
            self._functions.require("orchestrationtrigger", action["functionName"])
        task = self._schedule(action)
        if "retryOptions" in action:
            self.instance.retries[str(task)] = {"action": action, "attempts": 1}

    def _schedule(self, action: Action, **marks: Any) -> int:
        """Gives the action the next id; the event that it becomes tells the engine what to do."""
        task = self.instance.next_id
        self.instance.next_id += 1
        self._add(scheduling_event(action, task, self.instance) | marks)
        if action["actionType"] != ActionType.SignalEntity and not action.get("isCanceled"):
            self.instance.open.append(task)
        return task

    def fail(self, message: str) -> None:
        """The orchestrator failed, or could not be called at all."""
        self._finish(FAILED, f"Orchestrator function '{self.instance.name}' failed: {message}")

    def _finish(self, status: str, output: Any) -> None:
        self.instance.status, self.instance.output = status, output
        self._add(new_event(EventType.ExecutionCompleted, OrchestrationStatus=status, Result=json.dumps(output)))
        self._add(new_event(EventType.OrchestratorCompleted))

    def _continue_as_new(self, action: Action, outcome: Outcome) -> None:
        """A fresh execution with the new input; events that no wait has used go with it."""
        for event in self.instance.history + self.events:
            if event["EventType"] == EventType.EventRaised and "TaskScheduledId" not in event:
                outcome.waits[event["Name"]] -= 1
                if outcome.waits[event["Name"]] < 0:
                    self.carried.append(event)
        self.instance.execution, self.instance.input = uuid.uuid4().hex, json.dumps(action.get("input"))
        self.instance.next_id, self.instance.open, self.instance.retries = 0, [], {}

    def _add(self, event: Event) -> None:
        self.events.append(event | {"Timestamp": timestamp(self._now)})
