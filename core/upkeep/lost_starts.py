"""The third door of `start_once`: jobs whose file is there and whose upload event was lost."""

from __future__ import annotations

from datetime import timedelta

from core.base.blobs import modified_at
from core.base.clock import timestamp
from core.base.tables import Row
from core.upkeep.kinds import AnyJob, Kind
from core.upkeep.turn import Turn

# Event and `start` usually come within seconds. To be before them does no harm: whoever comes first starts.
PATIENCE = timedelta(minutes=2)


async def start_lost(kind: Kind[AnyJob], turn: Turn) -> None:
    """Start queued jobs that nobody has claimed although their file has been there for some minutes."""
    before = timestamp(turn.at - PATIENCE)
    runs = turn.durable.runs(kind.orchestration)

    async def start(row: Row) -> str:
        job = kind.of(row)
        uploaded = await modified_at(kind.upload(turn.storage, job))
        if uploaded is None or turn.at - uploaded < PATIENCE:
            return ""
        job = await kind.arrived(turn.storage, runs, job)
        if job.queued and not job.claim:
            return "waiting for their turn"
        return "refused" if job.ended else "started"

    async def start_page(page: list[Row]) -> None:
        owners: dict[str, list[Row]] = {}
        for row in page:
            owners.setdefault(row["PartitionKey"], []).append(row)

        async def start_those_of(owner: str) -> str:
            # An owner may run only so many at once: what has waited longest is first.
            for row in sorted(owners[owner], key=lambda row: row["created_at"]):
                await turn.each([row], start)
            return ""

        await turn.each(owners, start_those_of)

    where = "status eq 'queued' and claim eq '' and created_at lt @before"
    await turn.walk(lambda token: kind.pages(turn, token, where, before=before), start_page)
