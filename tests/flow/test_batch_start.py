"""Batches against real storage: many doors at once, repeated events, blocks that are staged again and again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.base.blobs import read_blob, write_blob
from core.base.clients import Storage as Clients
from core.base.clients import connect
from core.base.clock import newest_first_id, now, timestamp
from core.base.errors import TooMany
from core.jobs.states import Status
from core.serving.batches.arrival import on_rows, rows_arrived
from core.serving.batches.batch import Batch
from core.serving.batches.output import Output, chain_of_ranges
from core.serving.batches.store import BatchStore
from tests.flow.test_start_once import Orchestrations
from tests.harness import Storage


@pytest.fixture
async def clients(storage: Storage) -> AsyncIterator[Clients]:
    connected = connect(storage.settings())
    yield connected
    await connected.close()


def new_batch(owner: str = "owner") -> Batch:
    at = timestamp(now())
    return Batch(owner, newest_first_id(), "job", at, at)


async def queued(clients: Clients, upload: bytes = b"a,b\n1,2\n") -> Batch:
    batch = new_batch()
    await write_blob(clients.uploads, batch.upload_path, upload, "text/csv")
    return await BatchStore(clients).create(batch)


async def test_events_and_starts_of_a_batch_start_one_orchestration(clients: Clients) -> None:
    batch, orchestrations = await queued(clients), Orchestrations()
    arrivals = [rows_arrived(clients, orchestrations, batch) for _ in range(10)]
    events = [on_rows(clients, orchestrations, "owner", batch.id) for _ in range(10)]
    await asyncio.gather(*arrivals, *events)
    await on_rows(clients, orchestrations, "owner", batch.id)
    assert orchestrations.started == [batch.id]
    assert (await BatchStore(clients).get("owner", batch.id)).upload_size == 8


async def test_an_upload_for_no_batch_or_an_ended_one_is_deleted_and_starts_nothing(clients: Clients) -> None:
    batch, store, orchestrations = await queued(clients), BatchStore(clients), Orchestrations()
    await store.change("owner", batch.id, lambda current: replace(current, status=Status.CANCELLED))
    stray = new_batch()
    await write_blob(clients.uploads, stray.upload_path, b"a\n1\n", "text/csv")
    for each in (batch, stray):
        await on_rows(clients, orchestrations, "owner", each.id)
        assert not await clients.uploads.get_blob_client(each.upload_path).exists()
    assert orchestrations.started == []


async def test_a_batch_that_ends_gives_its_place_back(storage: Storage) -> None:
    connected = connect(storage.settings().model_copy(update={"training_job_max_pending_per_user": 1}))
    store = BatchStore(connected)
    first = await store.create(new_batch())
    with pytest.raises(TooMany, match="1 batches"):
        await store.create(new_batch())
    await store.create(new_batch("other"))
    await store.change("owner", first.id, lambda batch: replace(batch, status=Status.CANCELLED))
    await store.create(new_batch())
    await connected.close()


async def test_an_output_is_there_as_a_whole_or_not_at_all_however_often_its_blocks_are_staged(
    clients: Clients, tmp_path: Path
) -> None:
    batch = new_batch()
    output, blob = Output(clients, batch), clients.artifacts.get_blob_client(batch.output_path)

    async def stage(start: int, end: int) -> None:
        file = tmp_path / "part.csv"
        file.write_text("".join(f"{at};" for at in range(start, end)))
        await output.stage(start, end, file)

    # One activity cut the file at 3, another, which knew nothing of the first, at 4 and 6.
    for start, end in [(0, 3), (0, 4), (4, 6), (3, 10), (0, 4), (6, 9)]:
        await stage(start, end)
    assert not await blob.exists()
    for _ in range(2):
        await output.commit(9)
        assert await read_blob(clients.artifacts, batch.output_path) == b"0;1;2;3;4;5;6;7;8;"
    # A crash after the commit and before the row says so: the end comes once more, with a block staged anew.
    await stage(6, 9)
    await output.commit(9)
    assert await read_blob(clients.artifacts, batch.output_path) == b"0;1;2;3;4;5;6;7;8;"
    await output.discard()
    assert not await blob.exists()
    with pytest.raises(LookupError):
        chain_of_ranges([(0, 3), (4, 9)], 9)
    assert chain_of_ranges([(0, 3), (0, 4), (3, 5), (4, 9), (5, 8)], 9) == [(0, 4), (4, 9)]
