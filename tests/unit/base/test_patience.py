"""How long a request waits for storage, and that work without a caller is not held to it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
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


@pytest.fixture
async def nowhere() -> AsyncIterator[Storage]:
    """Clients of an account where nothing answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    endpoints = ";".join(f"{kind}Endpoint=http://127.0.0.1:{port}/a" for kind in ("Blob", "Table"))
    connection = f"AccountName=a;AccountKey=YWJj;{endpoints}"
    clients = connect(Settings.model_validate({"AzureWebJobsStorage": connection}))
    with black_hole(port):
        yield clients
    await clients.close()


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
