"""What an owner's jobs of one kind hold together while they are not done: a row of its own beside theirs.

It is written in one transaction with the job that takes or gives back, so it always says what the jobs say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from core.base.tables import Row

ROW_KEY = "quota"

# So much of each thing by its name: jobs, bytes, … A name that is missing is none of it.
Held = Counter[str]


def held_in(row: Row | None, names: Iterable[str]) -> Held:
    return Held({name: int(row[name]) for name in names if name in row}) if row is not None else Held()


def moved(held: Held, before: Held, after: Held) -> Held:
    """What is held when one job goes from holding `before` to holding `after`."""
    return held + after - before


def quota_row(owner: str, held: Held, names: Iterable[str]) -> Row:
    # An Int32 property overflows at 2 GiB; the text of a number does not.
    return {"PartitionKey": owner, "RowKey": ROW_KEY, **{name: str(held[name]) for name in names}}
