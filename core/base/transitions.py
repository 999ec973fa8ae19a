"""States as one table: from each, the states that may follow it. What nothing follows is an end."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from core.base.errors import Conflict

State = TypeVar("State", bound=StrEnum)
Transitions = Mapping[State, frozenset[State]]


def ends(transitions: Transitions[State]) -> frozenset[State]:
    return frozenset(state for state, following in transitions.items() if not following)


def check_transition(transitions: Transitions[State], before: State, after: State, noun: str) -> None:
    """Raises Conflict unless a `noun` may go from `before` to `after`; staying is always allowed."""
    if after != before and after not in transitions[before]:
        raise Conflict(f"This {noun} is {before} and cannot become {after}.")
