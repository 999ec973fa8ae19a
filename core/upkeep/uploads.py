"""Jobs that wait for an upload which will not come any more: each is ended with a sentence."""

from __future__ import annotations

from datetime import timedelta

from core.base.clock import timestamp
from core.base.tables import Row
from core.jobs.rows import upload_life
from core.upkeep.kinds import AnyJob, Kind
from core.upkeep.turn import Turn

SHORTEST_WAIT = timedelta(hours=24)


async def end_never_uploaded(kind: Kind[AnyJob], turn: Turn) -> None:
    """End jobs a day after they were made, or when their link has ended, if nothing was uploaded.

    A job whose file is there waits for something else: it is started by its own rule, however late.
    """
    oldest = timestamp(turn.at - max(SHORTEST_WAIT, upload_life(turn.storage.settings)))

    def given_up(job: AnyJob) -> AnyJob | None:
        return kind.given_up(job, "no file was uploaded in time.") if job.queued and not job.claim else None

    async def end(row: Row) -> str:
        job = kind.of(row)
        if await kind.upload(turn.storage, job).exists():
            return ""
        # A file that arrives now finds an ended job, and is deleted by its event.
        return "ended" if (await kind.store(turn.storage).change(job.owner, job.id, given_up)).ended else ""

    where = "status eq 'queued' and claim eq '' and created_at lt @oldest"
    await turn.walk(lambda token: kind.pages(turn, token, where, oldest=oldest), lambda page: turn.each(page, end))
