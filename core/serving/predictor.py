"""Predictions: one warm child for everybody, which holds the models used last."""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import WeakKeyDictionary

from core.base.clients import Storage
from core.base.errors import BadRequest, Unavailable
from core.jobs.job import Job
from core.keras_worker.errors import ChildError, Refused
from core.keras_worker.pool import ChildPool
from core.serving.models import model_file

_KEY = "predict"
_LONGEST_SECONDS = 120.0


async def predict(storage: Storage, pool: ChildPool, job: Job, rows: list[list[Any]]) -> dict[str, Any]:
    """`predictions`, one list for each row. Raises BadRequest for a cell the training could not have read."""
    arguments = {"model": str(await model_file(storage, job)), "rows": rows}
    try:
        # One after the other: each further child would be another TensorFlow in memory, and a cold one.
        async with _turns.setdefault(pool, asyncio.Lock()), pool.child("tensorflow", key=_KEY) as child:
            return await child.call("predict", arguments, seconds=_LONGEST_SECONDS)
    except Refused as refusal:
        raise BadRequest(refusal.problems) from None
    except ChildError:
        raise Unavailable("The prediction did not come to its end; try again, with fewer rows.") from None


_turns: WeakKeyDictionary[ChildPool, asyncio.Lock] = WeakKeyDictionary()
