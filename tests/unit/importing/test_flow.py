"""The orchestrator of imports alone: what the Portal is told."""

from __future__ import annotations

from typing import Any

import pytest

from core.importing.flow import import_model


class Context:
    def __init__(self) -> None:
        self.called, self.statuses = list[str](), list[str]()

    def get_input(self) -> dict[str, str]:
        return {"owner": "o", "job": "j"}

    def call_activity_with_retry(self, name: str, retry: Any, task: dict[str, str]) -> str:
        self.called.append(name)
        return name

    def set_custom_status(self, status: str) -> None:
        self.statuses.append(status)


@pytest.mark.parametrize(
    ("outcomes", "activities", "told"),
    [
        (["succeeded"], ["read_import"], "The model file is imported"),
        (["cancelled"], ["read_import"], "The import was cancelled"),
        (["superseded"], ["read_import"], "Another instance has taken over"),
        ([Exception("died"), "failed"], ["read_import", "fail_import"], "The import has failed; its job says why"),
    ],
)
def test_each_end_of_an_import_is_told_in_a_sentence(
    outcomes: list[str | Exception], activities: list[str], told: str
) -> None:
    context = Context()
    orchestrator: Any = import_model
    flow = orchestrator._function.get_user_function().orchestrator_function(context)
    next(flow)
    for outcome in outcomes[:-1]:
        flow.throw(outcome)
    with pytest.raises(StopIteration):
        flow.send(outcomes[-1])
    assert context.called == activities
    assert context.statuses == ["The model file is being read", told]
