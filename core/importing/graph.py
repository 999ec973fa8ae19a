"""The graph made of an import. It has the import's id: asked twice, or after a crash, there is still only one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from core.base.clients import Storage
from core.base.errors import Conflict, NotFound
from core.graphs.api import new_graph
from core.graphs.graph import Graph
from core.graphs.store import GraphStore
from core.importing.job import ImportJob


async def make_graph(storage: Storage, job: ImportJob, payload: dict[str, Any]) -> tuple[Graph, bool]:
    """The job's graph, and whether this call made it."""
    store = GraphStore(storage)
    with_id = replace(new_graph(job.owner, payload), id=job.id)
    known = await made_graph(storage, job)
    if known is not None:
        return known, False
    try:
        return await store.create(with_id), True
    except Conflict:
        return await store.get(job.owner, job.id), False


async def made_graph(storage: Storage, job: ImportJob) -> Graph | None:
    """The graph made of the job, unless there is none or it was deleted."""
    try:
        return await GraphStore(storage).get(job.owner, job.id)
    except NotFound:
        return None
