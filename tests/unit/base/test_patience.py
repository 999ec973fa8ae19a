"""How long a request waits for storage, and that work without a caller is not held to it."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from azure.core.exceptions import ResourceNotFoundError

from core.base.clients import Storage, connect
from core.base.patience import Patience, limited_patience, patience
from core.base.settings import Settings
from tests.faults.black_hole import black_hole
from tests.harness import Storage as Account

BUDGET_SECONDS = Settings().storage_patience_seconds


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_patience_is_used_up_by_waiting_and_begins_anew_with_an_answer() -> None:
    clock = Clock()
    waiting = Patience(2.0, clock)
    assert waiting.left() == 2.0
    clock.now += 1.5
    assert waiting.left() == 0.5
    clock.now += 0.5
    with pytest.raises(TimeoutError):
        waiting.left()
    waiting.answered()
    clock.now += 100
    assert waiting.left() == 2.0


def test_the_budget_leaves_something_of_two_seconds() -> None:
    assert BUDGET_SECONDS + 0.3 < 2
    assert patience() is None
    with limited_patience():
        assert patience() is not None
    assert patience() is None


def connected_to(port: int) -> Storage:
    endpoints = ";".join(f"{kind}Endpoint=http://127.0.0.1:{port}/a" for kind in ("Blob", "Table"))
    connection = f"AccountName=a;AccountKey=YWJj;{endpoints}"
    return connect(Settings.model_validate({"AzureWebJobsStorage": connection}))


@pytest.fixture
async def nowhere() -> AsyncIterator[Storage]:
    """Clients of an account where nothing answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    clients = connected_to(port)
    with black_hole(port):
        yield clients
    await clients.close()


@pytest.fixture
async def slow() -> AsyncIterator[Storage]:
    """Clients of an account in which every blob has one byte, and tells so after three budgets if it is called slow."""

    async def serve(request: web.BaseRequest) -> web.Response:
        if request.path.endswith("slow"):
            await asyncio.sleep(3 * BUDGET_SECONDS)
        return web.Response(body=b"x", headers={"x-ms-blob-type": "BlockBlob"})

    runner = web.ServerRunner(web.Server(serve), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    clients = connected_to(runner.addresses[0][1])
    yield clients
    await clients.close()
    await runner.cleanup()


async def test_a_call_without_an_answer_ends_for_a_caller_and_goes_on_for_an_activity(nowhere: Storage) -> None:
    blob = nowhere.uploads.get_blob_client("x")
    # More than the sockets of both sides hold: it is sent for as long as the slowest line would take.
    large = bytes(8 * 1024 * 1024)
    with limited_patience():
        for call in (blob.get_blob_properties(), anext(aiter(nowhere.tables.list_tables()))):
            with pytest.raises(TimeoutError):
                await call
    working = asyncio.ensure_future(blob.upload_blob(large, overwrite=True))
    _, pending = await asyncio.wait({working}, timeout=2 * BUDGET_SECONDS)
    assert pending
    working.cancel()


async def test_storage_that_answers_others_is_busy_and_not_away(slow: Storage) -> None:
    with limited_patience():
        answered = asyncio.ensure_future(slow.uploads.get_blob_client("slow").get_blob_properties())
        while not answered.done():
            await slow.uploads.get_blob_client("quick").get_blob_properties()
            await asyncio.sleep(0.1)
    assert (await answered).size == 1


async def test_an_answer_that_came_while_this_process_was_busy_counts(slow: Storage) -> None:
    with limited_patience():
        asked = asyncio.ensure_future(slow.uploads.get_blob_client("quick").get_blob_properties())
        # Long enough to be waiting, too short to have an answer.
        for _ in range(3):
            await asyncio.sleep(0)
        time.sleep(BUDGET_SECONDS + 0.5)
        assert (await asked).size == 1


async def test_patience_outlasts_any_number_of_calls_that_are_answered(storage: Account) -> None:
    clients = connect(storage.settings())
    try:
        with limited_patience():
            await clients.uploads.upload_blob("x", b"x")
            waiting = patience()
            assert waiting is not None and waiting.left() == pytest.approx(BUDGET_SECONDS, abs=0.5)
            waiting.answered()
            with pytest.raises(ResourceNotFoundError):
                await clients.uploads.get_blob_client("y").get_blob_properties()
            assert waiting.left() == pytest.approx(BUDGET_SECONDS, abs=0.5)
    finally:
        await clients.close()
