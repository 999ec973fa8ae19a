"""One compiler for the whole session, since its fork server takes most of a second to start."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from core.base.settings import Settings
from core.graphs.compile import Compiler
from core.keras_worker.pool import ChildPool, PoolOptions


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def compiler() -> AsyncIterator[Compiler]:
    """With little memory; tests that take it run on the session's loop."""
    chosen = Settings(compile_seconds=20, compile_memory_mb=300, compile_children=2)
    made = Compiler(ChildPool(PoolOptions(idle_seconds=3600, memory_limit_bytes=600 * 2**20)), chosen)
    await made.warm()
    yield made
    await made.pool.close()
