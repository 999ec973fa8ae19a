"""One round of upkeep: rule after rule, each with its share of the time, none able to stop the others."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from azure.core.exceptions import AzureError

from core.base import telemetry
from core.base.errors import AppError
from core.upkeep.turn import Means, Turn

log = logging.getLogger(__name__)

Rule = Callable[[Turn], Awaitable[None]]

# A round is one call of a function, which `functionTimeout` of host.json ends after ten minutes. Even if
# every rule were late by the whole of its grace, a round would end before.
ROUND_SECONDS = 180.0
GRACE_SECONDS = 20.0


async def run_round(
    rules: Mapping[str, Rule], means: Means, seconds: float = ROUND_SECONDS
) -> Mapping[str, Counter[str]]:
    """Give each rule its turn; what each has counted, by the rules' names.

    What one rule leaves of its share, those after it have more.
    """
    ends = time.monotonic() + seconds
    counts: dict[str, Counter[str]] = {}
    for done, (name, rule) in enumerate(rules.items()):
        share = max(ends - time.monotonic(), 0.0) / (len(rules) - done)
        turn = Turn(name, means, time.monotonic() + share)
        await _take(turn, rule, share + GRACE_SECONDS)
        counts[name] = turn.counts
    return counts


async def _take(turn: Turn, rule: Rule, most_seconds: float) -> None:
    try:
        async with asyncio.timeout(most_seconds):
            await rule(turn)
    except Exception:
        turn.count("rule failed")
        log.exception("upkeep, %s: the rule failed", turn.rule)
        # If the place where it goes on were what it fails at, it would never get past it.
        with suppress(AzureError, AppError):
            await turn.position.forget()
    for what, many in turn.counts.items():
        telemetry.record("upkeep.found", many, rule=turn.rule, outcome=what)
    told = ", ".join(f"{many} {what}" for what, many in turn.counts.items()) or "nothing to do"
    log.info("upkeep, %s: %s", turn.rule, told)
