"""The orchestrator alone: which activity follows which outcome."""

from __future__ import annotations

from typing import Any

import pytest

from core.base.errors import NoRoom
from core.training.flow import SLICES_PER_EXECUTION, _ended_by_user_error, train
from core.training.run import Step


class Context:
    """Answers each activity with the next of the given outcomes, as a replayed history would."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.task, self.called, self.continued = task, list[str](), dict[str, Any]()
        self.statuses = list[str]()

    def get_input(self) -> dict[str, Any]:
        return self.task

    def call_activity_with_retry(self, name: str, retry: Any, job: dict[str, str]) -> str:
        self.called.append(name)
        return name

    def set_custom_status(self, status: str) -> None:
        self.statuses.append(status)

    def continue_as_new(self, task: dict[str, Any]) -> None:
        self.continued = task


def run(outcomes: list[str | Exception], **task: Any) -> Context:
    context = Context({"owner": "o", "job": "j", **task})
    orchestrator: Any = train
    flow = orchestrator._function.get_user_function().orchestrator_function(context)
    try:
        next(flow)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                flow.throw(outcome)
            else:
                flow.send({"outcome": outcome, "status": outcome})
    except StopIteration:
        pass
    return context


def names(context: Context) -> list[str]:
    return [name.removesuffix("_training").removeprefix("train_") for name in context.called]


@pytest.mark.parametrize(
    ("outcomes", "activities"),
    [
        (["continue", "continue", "done", "succeeded"], ["prepare", "slice", "slice", "finish"]),
        (["failed"], ["prepare"]),
        (["continue", "cancelled"], ["prepare", "slice"]),
        (["continue", "done", "continue", "done", "succeeded"], ["prepare", "slice", "finish", "slice", "finish"]),
        (["continue", Exception("died"), "failed"], ["prepare", "slice", "fail"]),
    ],
)
def test_each_outcome_leads_to_its_activity(outcomes: list[str | Exception], activities: list[str]) -> None:
    assert names(run(outcomes)) == activities


def test_a_long_training_goes_on_with_a_new_history_and_is_not_prepared_again() -> None:
    context = run(["continue"] * (SLICES_PER_EXECUTION + 1))
    assert context.continued == {"owner": "o", "job": "j", "prepared": True}
    assert names(run(["done", "succeeded"], prepared=True)) == ["slice", "finish"]


def test_the_portal_is_told_what_goes_on_before_it_goes_on() -> None:
    context = run(["continue", "done", "succeeded"])
    assert context.statuses == ["The dataset is being read", "continue", "done", "succeeded"]
    assert run(["done"], prepared=True).statuses == ["The training goes on", "done"]


class Failed:
    """Stands for a job that can only be failed."""

    async def fail(self, error: str) -> Step:
        return Step("failed", error)


async def test_a_disk_that_is_too_small_ends_a_training_with_what_is_missing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def prepare(run: Any) -> Step:
        raise NoRoom("This dataset needs about 0.60 GB of temporary disk.")

    step = await _ended_by_user_error(Failed(), prepare)  # pyright: ignore[reportArgumentType]
    assert step.status == "Training failed: This dataset needs about 0.60 GB of temporary disk."
    # The sentence may hold the user's words, so the log has the kind of failure alone.
    assert caplog.messages == ["the training failed: NoRoom"]
