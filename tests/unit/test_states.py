"""The table of job states."""

from __future__ import annotations

import itertools

import pytest

from core.base.errors import Conflict
from core.base.transitions import check_transition
from core.jobs.states import ENDED, TRANSITIONS, Status


def test_every_state_stands_in_the_table_and_three_are_ends() -> None:
    assert set(TRANSITIONS) == set(Status)
    assert {Status.SUCCEEDED, Status.FAILED, Status.CANCELLED} == ENDED


@pytest.mark.parametrize(("before", "after"), list(itertools.product(Status, Status)))
def test_only_changes_in_the_table_are_allowed(before: Status, after: Status) -> None:
    if before == after or after in TRANSITIONS[before]:
        check_transition(TRANSITIONS, before, after, "job")
        return
    with pytest.raises(Conflict, match=f"{before} and cannot become {after}"):
        check_transition(TRANSITIONS, before, after, "job")


def test_nothing_leaves_an_ended_state() -> None:
    assert all(not TRANSITIONS[status] for status in ENDED)
