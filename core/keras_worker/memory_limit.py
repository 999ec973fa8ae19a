"""A limit on what a child may allocate from now on, for commands that read what strangers drew or uploaded."""

from __future__ import annotations

import sys


def limit_memory(size: int) -> None:
    """Lets allocations beyond `size` more bytes fail at once, where the pool's watch would see them a moment later."""
    if not size or sys.platform == "win32":
        return
    import resource

    # Address space the process has already, by its page count; only Linux tells it this way.
    if sys.platform == "linux":
        with open("/proc/self/statm") as statm:
            present = int(statm.read().split()[0]) * resource.getpagesize()
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        if resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
            resource.setrlimit(resource.RLIMIT_AS, (present + size, hard))
