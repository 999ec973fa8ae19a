"""Fixtures for tests that run Keras: one pool for a whole session, since its fork server takes seconds to start."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from core.keras_worker.environment import APP_ROOT
from core.keras_worker.pool import ChildPool, PoolOptions
from tests.unit.keras_worker.trainings import SAMPLES


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def pool(session_folder: Path) -> AsyncIterator[ChildPool]:
    """A pool whose children fork; tests that take it run on the session's loop."""
    made = ChildPool(PoolOptions(start="fork", keep=0))
    yield made
    await made.close()


@pytest.fixture(scope="session")
def plain_fits(session_folder: Path) -> dict[str, dict[str, Any]]:
    """What a plain script's `model.fit` gives for each sample."""
    folder = session_folder / "plain"
    folder.mkdir()
    command = [sys.executable, "-m", "tests.unit.keras_worker.plain_fit", str(folder)]
    subprocess.run(command, cwd=APP_ROOT, check=True, capture_output=True)
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in SAMPLES}
