"""A round: turns, their shares of the time, and what one failure may not do to the rest."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from core.upkeep import round as rounds
from core.upkeep.round import GRACE_SECONDS, ROUND_SECONDS, run_round
from core.upkeep.rules import CLEAN_UP, START_LOST
from core.upkeep.turn import Turn
from tests.unit.upkeep.conftest import World

TEN_MINUTES = 600


async def count_one(turn: Turn) -> None:
    turn.count("done")


async def break_down(turn: Turn) -> None:
    raise RuntimeError("a rule's own fault")


async def test_a_rule_that_fails_stops_no_other_and_the_log_says_so(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "core.upkeep")
    counts = await run_round({"bad": break_down, "good": count_one}, world.means())
    assert counts == {"bad": {"rule failed": 1}, "good": {"done": 1}}
    assert "upkeep, good: 1 done" in caplog.messages
    assert "upkeep, bad: 1 rule failed" in caplog.messages
    assert "a rule's own fault" in caplog.text


async def test_a_rule_that_hangs_is_cut_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "GRACE_SECONDS", 0.1)

    async def hang(turn: Turn) -> None:
        await asyncio.sleep(3600)

    counts = await run_round({"hanging": hang, "good": count_one}, world.means(), seconds=0)
    assert counts == {"hanging": {"rule failed": 1}, "good": {"done": 1}}


def test_a_round_in_which_every_rule_hangs_ends_before_its_function_is_ended() -> None:
    for rules in (START_LOST, CLEAN_UP):
        assert ROUND_SECONDS + GRACE_SECONDS * len(rules) < TEN_MINUTES


async def test_an_item_that_fails_stops_no_other_item(world: World) -> None:
    async def work(item: int) -> str:
        if item % 2:
            raise ValueError("not this one")
        return "done" if item else ""

    async def rule(turn: Turn) -> None:
        await turn.each(range(10), work)

    assert await run_round({"rule": rule}, world.means()) == {"rule": {"failed": 5, "done": 4}}


async def test_items_for_which_there_was_no_time_are_the_first_of_the_next_turn(world: World) -> None:
    left, done = {"": list(range(20)), "second": [20, 21]}, list[int]()

    async def pages(token: str) -> AsyncIterator[tuple[list[int], str]]:
        if not token:
            yield [*left[""]], "second"
        yield [*left["second"]], ""

    async def work(item: int) -> str:
        left["" if item < 20 else "second"].remove(item)
        done.append(item)
        return "done"

    async def rule(turn: Turn) -> None:
        await turn.walk(pages, lambda page: turn.each(page, work))

    counts = [await run_round({"rule": rule}, world.means(), seconds=0) for _ in range(4)]
    assert [count["rule"]["done"] for count in counts] == [8, 8, 4, 2]
    assert [count["rule"]["to be continued"] for count in counts] == [1, 1, 1, 0]
    assert done == list(range(22))


async def test_the_log_names_the_job_that_failed_and_nothing_else_of_it(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(row: dict[str, str]) -> str:
        raise ValueError("broken")

    async def rule(turn: Turn) -> None:
        await turn.each([{"RowKey": "job-1", "params": "private"}], work)

    await run_round({"rule": rule}, world.means())
    assert "upkeep, rule: job-1 failed" in caplog.messages and "private" not in caplog.text


async def test_a_rule_that_fails_where_it_goes_on_begins_anew(world: World) -> None:
    """Where its place can be read no more, by a change of the service say, it would be stuck there for ever."""
    asked: list[str] = []

    async def pages(token: str) -> AsyncIterator[tuple[list[int], str]]:
        asked.append(token)
        if token:
            raise ValueError("unreadable")
        yield [1], "second"
        yield [2], ""

    async def nothing(page: list[int]) -> None:
        await asyncio.sleep(0.001)

    async def rule(turn: Turn) -> None:
        await turn.walk(pages, nothing)

    for _ in range(3):
        await run_round({"rule": rule}, world.means(), seconds=0)
    assert asked == ["", "second", ""]


async def test_every_rule_gets_its_turn_in_an_empty_storage(world: World) -> None:
    for rules in (START_LOST, CLEAN_UP):
        counts = await run_round(rules, world.means())
        assert list(counts) == list(rules)
        assert not any(count["rule failed"] or count["failed"] for count in counts.values()), counts
