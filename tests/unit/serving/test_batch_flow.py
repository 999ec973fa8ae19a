"""The orchestrator of a batch alone: which activity follows which outcome."""

from __future__ import annotations

from typing import Any

import pytest

from core.serving.batches.flow import SLICES_PER_EXECUTION, predict_batch
from tests.unit.training.test_flow import Context

TASK = {"owner": "o", "job": "b"}


def run(outcomes: list[str | Exception]) -> tuple[Context, Any]:
    context = Context(TASK)
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
    assert outcome == outcomes[-1] and context.continued == {}


def test_a_long_batch_goes_on_with_a_new_history() -> None:
    context, outcome = run(["continue"] * SLICES_PER_EXECUTION)
    assert context.continued == TASK and outcome is None
    assert len(context.called) == SLICES_PER_EXECUTION
