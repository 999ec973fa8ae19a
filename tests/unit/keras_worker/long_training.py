"""A parent of its own for tests that kill it: `python -m tests.unit.keras_worker.long_training fork|spawn FOLDER`.

Starts a training that takes minutes, and prints the pids of the processes that are at work once it is under way.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, cast

from core.keras_worker.pool import ChildPool, PoolOptions, Start
from tests.unit.keras_worker.trainings import Job, long_sample


async def main(start: Start, folder: Path) -> None:
    pool = ChildPool(PoolOptions(start=start))
    job = Job(long_sample(), folder)
    async with pool.child("tensorflow") as child:
        await job.prepare(child)

        async def under_way(event: dict[str, Any]) -> None:
            state = pool.state()
            pids = [each["pid"] for each in state["busy"]] + list(filter(None, state["servers"].values()))
            sys.stdout.write(json.dumps(pids) + "\n")
            sys.stdout.flush()

        await job.train(child, under_way)


if __name__ == "__main__":
    asyncio.run(main(cast("Start", sys.argv[1]), Path(sys.argv[2])))
