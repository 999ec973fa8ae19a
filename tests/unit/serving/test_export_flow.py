"""The orchestrator of an export alone: which activity follows which outcome."""

from __future__ import annotations

from typing import Any

import pytest

from core.serving.export_flow import export_model


class Context:
    """Answers each activity with the next of the given outcomes, as a replayed history would."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.status = ""

    def get_input(self) -> dict[str, str]:
        return {"owner": "o", "job": "j-onnx-1"}

    def call_activity_with_retry(self, name: str, retry: Any, task: dict[str, str]) -> str:
        self.called.append(name)
        return name

    def set_custom_status(self, status: str) -> None:
        self.status = status


@pytest.mark.parametrize(
    ("outcomes", "activities", "status"),
    [
        (["ready"], ["write_export"], "The export is ready"),
        (["continue", "continue", "ready"], ["write_export"] * 3, "The export is ready"),
        (["superseded"], ["write_export"], "A later attempt has taken over"),
        ([Exception("storage"), "failed"], ["write_export", "fail_export"], "The export has failed"),
    ],
)
def test_each_outcome_of_an_export_leads_to_its_activity(
    outcomes: list[str | Exception], activities: list[str], status: str
) -> None:
    context = Context()
    orchestrator: Any = export_model
    flow = orchestrator._function.get_user_function().orchestrator_function(context)
    next(flow)
    *first, last = outcomes
    for outcome in first:
        flow.throw(outcome) if isinstance(outcome, Exception) else flow.send(outcome)
    with pytest.raises(StopIteration):
        flow.send(last)
    assert (context.called, context.status) == (activities, status)
