"""The orchestrator of a batch alone: which activity follows which outcome."""

from __future__ import annotations

from typing import Any

import pytest

from core.serving.batches.flow import SLICES_PER_EXECUTION, predict_batch

TASK = {"owner": "o", "job": "b"}


class Context:
    """Answers each activity with the next of the given outcomes, as a replayed history would."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.continued: Any = None

    def get_input(self) -> dict[str, str]:
        return TASK

    def call_activity_with_retry(self, name: str, retry: Any, task: dict[str, str]) -> str:
        assert task == TASK
        self.called.append(name)
        return name

    def set_custom_status(self, status: str) -> None:
        self.status = status

    def continue_as_new(self, task: dict[str, str]) -> None:
        self.continued = task


def run(outcomes: list[str | Exception]) -> tuple[Context, Any]:
    context = Context()
    orchestrator: Any = predict_batch
    flow = orchestrator._function.get_user_function().orchestrator_function(context)
    try:
        next(flow)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                flow.throw(outcome)
            else:
                flow.send({"outcome": outcome, "status": outcome})
    except StopIteration as end:
        return context, end.value
    raise AssertionError("it waits for more")


@pytest.mark.parametrize(
    ("outcomes", "activities"),
    [
        (["succeeded"], ["predict_slice"]),
        (["continue", "continue", "cancelled"], ["predict_slice"] * 3),
        (["continue", Exception("died"), "failed"], ["predict_slice"] * 2 + ["fail_batch"]),
    ],
)
def test_slice_follows_slice_to_the_end(outcomes: list[str | Exception], activities: list[str]) -> None:
    context, outcome = run(outcomes)
    assert context.called == activities
    assert outcome == outcomes[-1] and context.continued is None


def test_a_long_batch_goes_on_with_a_new_history() -> None:
    context, outcome = run(["continue"] * SLICES_PER_EXECUTION)
    assert context.continued == TASK and outcome is None
    assert len(context.called) == SLICES_PER_EXECUTION
