"""The graph that a job trains: a copy made with the job, which later edits of the graph leave alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.base.blobs import read_document, write_document
from core.base.clients import Storage
from core.jobs.job import Job


async def write_graph(storage: Storage, job: Job, checked: Mapping[str, Any]) -> None:
    await write_document(storage.artifacts, _name(job), checked)


async def read_graph(storage: Storage, job: Job) -> dict[str, Any]:
    return await read_document(storage.artifacts, _name(job))


def _name(job: Job) -> str:
    return f"{job.folder}/graph.json.gz"
