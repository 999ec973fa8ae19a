"""The pool that all capabilities of one process share, with the limits that the settings give."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

from core.base.settings import MIB, Settings, settings
from core.keras_worker.pool import ChildPool, PoolOptions, default_start, usable_cores

_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, ChildPool] = WeakKeyDictionary()


def shared_pool() -> ChildPool:
    """The pool of the running event loop, made at its first use; it starts no process by itself."""
    loop = asyncio.get_running_loop()
    if loop not in _pools:
        _pools[loop] = ChildPool(pool_options(settings()))
    return _pools[loop]


def pool_options(chosen: Settings) -> PoolOptions:
    return PoolOptions(
        start=default_start() if chosen.child_start == "auto" else chosen.child_start,
        memory_limit_bytes=chosen.child_memory_mb * MIB,
        idle_seconds=chosen.child_idle_seconds,
        threads=chosen.training_threads or usable_cores(),
    )
