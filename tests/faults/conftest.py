"""What tests of faults share."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from azurite.bootstrap import container_names, prepare
from azurite.emulator import Account, Emulator
from core.base.settings import Settings
from devtools.ports import free_ports
from tests.harness import Storage
from tests.unit.keras_worker.fixtures import plain_fits, pool

__all__ = ["plain_fits", "pool"]


@pytest.fixture
def own_azurite(node: Path, session_folder: Path, next_account: Callable[[], Account]) -> Iterator[Storage]:
    """An Azurite that keeps its data on disk, for one test to kill or stop."""
    with azurite_on_disk(node, session_folder, next_account) as storage:
        yield storage


@contextlib.contextmanager
def azurite_on_disk(node: Path, session_folder: Path, next_account: Callable[[], Account]) -> Iterator[Storage]:
    account, folder = next_account(), session_folder / f"azurite-{time.monotonic_ns()}"
    emulator = Emulator(
        node, log=folder / "azurite.log", location=folder / "data", ports=tuple(free_ports(3)), accounts=(account,)
    )
    try:
        emulator.start()
        storage = Storage(emulator, account)
        with BlobServiceClient.from_connection_string(storage.connection_string) as service:
            prepare(service, container_names(Settings()), [])
        yield storage
    finally:
        emulator.stop()
