"""Files of ended jobs that have been kept long enough: the row says that they are gone, then they go.

This rule only writes the row, from where on nobody is shown or given a file of the job any more. The blobs
are then what no row needs, and `core.upkeep.leftovers` deletes them; so a crash in between leaves nothing.
"""

from __future__ import annotations

from datetime import timedelta

from core.base.clock import timestamp
from core.base.tables import Row
from core.upkeep.kinds import AnyJob, Kind
from core.upkeep.turn import Turn

_COLUMNS = ["PartitionKey", "RowKey", "files_removed_at"]


async def end_retention(kind: Kind[AnyJob], turn: Turn) -> None:
    """Mark the jobs that ended, or were last changed, ARTIFACT_RETENTION_DAYS ago; 0 keeps them for ever."""
    days = turn.storage.settings.artifact_retention_days
    if not days:
        return
    oldest, at = timestamp(turn.at - timedelta(days=days)), timestamp(turn.at)

    def marked(job: AnyJob) -> AnyJob | None:
        if not job.ended or job.files_removed_at or job.updated_at >= oldest:
            return None
        return kind.without_files(job, at)

    async def mark(row: Row) -> str:
        job_id = row["RowKey"].removeprefix(kind.key_prefix)
        job = await kind.store(turn.storage).change(row["PartitionKey"], job_id, marked)
        return "marked" if job.files_removed_at == at else ""

    async def mark_page(page: list[Row]) -> None:
        # Not asked of the table: rows that are older than this column do not have it.
        await turn.each((row for row in page if not row.get("files_removed_at")), mark)

    # Only a job that has succeeded has files that somebody may still want.
    where = "status eq 'succeeded' and updated_at lt @oldest"
    await turn.walk(lambda token: kind.pages(turn, token, where, _COLUMNS, oldest=oldest), mark_page)
