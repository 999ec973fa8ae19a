"""The pool that all capabilities of one process share, with the limits that the settings give."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from weakref import WeakKeyDictionary

from core.base.settings import MIB, Settings, settings
from core.keras_worker.errors import ChildError
from core.keras_worker.pool import ChildPool, PoolOptions, default_start, usable_cores

_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, ChildPool] = WeakKeyDictionary()


def shared_pool() -> ChildPool:
    """The pool of the running event loop, made at its first use; it starts no process by itself."""
    loop = asyncio.get_running_loop()
    if loop not in _pools:
        _pools[loop] = ChildPool(pool_options(settings()))
    return _pools[loop]


def warm_in_background(kind: str) -> None:
    """Begin to make starts of such children quick, and return at once; a failure shows at the real start."""
    task = asyncio.ensure_future(_warm(shared_pool(), kind))
    _warming.add(task)
    task.add_done_callback(_warming.discard)


async def _warm(pool: ChildPool, kind: str) -> None:
    with suppress(ChildError):
        await pool.warm(kind)


_warming: set[asyncio.Task[None]] = set()


def pool_options(chosen: Settings) -> PoolOptions:
    return PoolOptions(
        start=default_start() if chosen.child_start == "auto" else chosen.child_start,
        memory_limit_bytes=chosen.child_memory_mb * MIB,
        idle_seconds=chosen.child_idle_seconds,
        threads=chosen.training_threads or usable_cores(),
    )
