"""Which windows of histories are purged, and in what order."""

from __future__ import annotations

from datetime import timedelta

from core.upkeep.histories import FIRST_LOOK, WINDOW, purge_histories
from tests.unit.upkeep.conftest import DAY, LATER, Functions, World

UNTIL = LATER - 30 * DAY


async def test_the_first_round_purges_small_windows_up_to_the_limit_and_later_ones_what_is_new(
    world: World, functions: Functions
) -> None:
    await world.turn(purge_histories)
    *windows, everything = functions.purged
    assert windows[0][0] == UNTIL - FIRST_LOOK and windows[-1][1] == UNTIL
    assert all(end - start == WINDOW for start, end in windows)
    assert [end for _, end in windows[:-1]] == [start for start, _ in windows[1:]]
    assert everything[1] == UNTIL

    functions.purged.clear()
    await world.turn(purge_histories, at=LATER + timedelta(hours=1))
    [(start, end), again] = functions.purged
    assert (start, end) == (UNTIL, UNTIL + timedelta(hours=1))
    # What had not ended yet when its window was looked at.
    assert again[0] < UNTIL - 9999 * DAY / 3 and again[1] == end


async def test_no_window_reaches_into_the_days_that_are_kept(world: World, functions: Functions) -> None:
    for hours in (0, 5, 30):
        functions.purged.clear()
        at = LATER + timedelta(hours=hours)
        await world.turn(purge_histories, at=at)
        assert functions.purged and all(end <= at - 30 * DAY for _, end in functions.purged)


async def test_a_round_without_time_purges_one_window_and_the_next_goes_on(world: World, functions: Functions) -> None:
    for _ in range(3):
        await world.turn(purge_histories, seconds=0)
    first = UNTIL - FIRST_LOOK
    assert functions.purged == [(first + number * WINDOW, first + (number + 1) * WINDOW) for number in range(3)]


async def test_with_0_days_histories_are_kept_for_ever(world: World, functions: Functions) -> None:
    world.set(orchestration_history_days=0)
    await world.turn(purge_histories)
    assert not functions.purged
