"""Jobs whose orchestration is gone or has ended without them: started again, where they go on from their checkpoint.

That happens when the task hub is changed or damaged, when a new version of the app cannot replay an old
history, when a process dies between claim and start, or when a person ends an orchestration in the Portal.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

from core.base.clock import new_id, timestamp
from core.base.tables import Row
from core.jobs.start import RunState
from core.upkeep.kinds import AnyJob, Kind
from core.upkeep.turn import Runs, Turn

log = logging.getLogger(__name__)

# An orchestration that was just asked for is found within seconds. A job that was written since then is
# in somebody's hands, and nobody asks after its orchestration.
PATIENCE = timedelta(minutes=5)

# What breaks so often does not break by chance.
MOST_RESTARTS = 3

_TERMINATED = "it was ended by the operator of this service; begin a new one."
_BROKEN = "it was interrupted several times and could not go on; begin a new one."


async def restart_lost(kind: Kind[AnyJob], turn: Turn) -> None:
    """Start lost jobs again; end those that were ended by a person or break again and again."""
    before = timestamp(turn.at - PATIENCE)
    runs = turn.durable.runs(kind.orchestration)

    async def look(row: Row) -> str:
        job = kind.of(row)
        state = await runs.state(job)
        if state is RunState.ALIVE:
            return "alive"
        if state is RunState.TERMINATED:
            return await _give_up(kind, turn, job, _TERMINATED)
        if job.restarts >= MOST_RESTARTS:
            return await _give_up(kind, turn, job, _BROKEN)
        return await _restart(kind, turn, runs, job)

    where = "updated_at lt @before and (status eq @running or (status eq 'queued' and claim ne ''))"
    await turn.walk(
        lambda token: kind.pages(turn, token, where, before=before, running=kind.running),
        lambda page: turn.each(page, look),
    )


async def _restart(kind: Kind[AnyJob], turn: Turn, runs: Runs, job: AnyJob) -> str:
    claim, at = new_id(), timestamp(turn.at)

    def claimed(current: AnyJob) -> AnyJob | None:
        # Whoever has written since is at work on the job, or was faster here.
        if current.ended or current.etag != job.etag:
            return None
        return replace(current, claim=claim, claimed_at=at, restarts=current.restarts + 1)

    if (await kind.store(turn.storage).change(job.owner, job.id, claimed)).claim != claim:
        return ""
    # A crash here leaves a job that looks as lost as before, and is found again when its claim is old.
    await runs.start(job)
    log.warning("the orchestration of a job was lost; it is started again")
    return "started again"


async def _give_up(kind: Kind[AnyJob], turn: Turn, job: AnyJob, reason: str) -> str:
    def given_up(current: AnyJob) -> AnyJob | None:
        return None if current.ended or current.etag != job.etag else kind.given_up(current, reason)

    if not (await kind.store(turn.storage).change(job.owner, job.id, given_up)).ended:
        return ""
    log.warning("a job is given up: %s", reason)
    return "given up"
