"""Histories of orchestrations that ended long ago: purged by the durable functions, window by window."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from core.base.clock import timestamp
from core.upkeep.turn import Turn

# One purge of everything would hold up the app for as long as it takes. In a day there are some hundreds.
WINDOW = timedelta(days=1)
# How far before the youngest old history the first round of an app begins.
FIRST_LOOK = timedelta(days=90)
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


async def purge_histories(turn: Turn) -> None:
    """Purge what was created ORCHESTRATION_HISTORY_DAYS ago or earlier, and has ended; 0 keeps it for ever."""
    days = turn.storage.settings.orchestration_history_days
    if not days:
        return
    until = turn.at - timedelta(days=days)
    done = await turn.position.read()
    start = datetime.fromisoformat(done) if done else until - FIRST_LOOK
    while start < until:
        end = min(start + WINDOW, until)
        turn.count("purged", await turn.durable.purge(start, end))
        start = end
        await turn.position.write(timestamp(end))
        if turn.is_over:
            turn.count("to be continued")
            return
    # What was still running when its window was purged, and what is older than the first look.
    turn.count("purged", await turn.durable.purge(_BEGINNING, until))
