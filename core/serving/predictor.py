"""Predictions: one warm child for everybody, which holds the models used last."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import Any
from weakref import WeakKeyDictionary

from core.base import telemetry
from core.base.clients import Storage, storage
from core.base.errors import BadRequest, Unavailable
from core.base.settings import MIB
from core.jobs.job import Job
from core.keras_worker.errors import ChildError, Refused
from core.keras_worker.pool import ChildPool
from core.keras_worker.shared import shared_pool
from core.serving.models import model_file
from core.serving.succeeded import SucceededJobs

_KEY = "predict"
# Forked, the child shares TensorFlow with the fork server that stays anyway; a new one would have to load its models.
_IDLE_SECONDS = 3600.0
# How long predicting the rows of a request may take, while other requests wait for their turn.
_SECONDS = 5.0
# Beyond this the child does not answer: a model of gigabytes may take so long to load.
_LONGEST_SECONDS = 60.0


class Predictor:
    """Predicts for one event loop."""

    def __init__(self, clients: Storage, pool: ChildPool) -> None:
        self._storage = clients
        self._pool = pool
        self._jobs = SucceededJobs(clients)
        self._turn = asyncio.Lock()

    async def predict(self, owner: str, job_id: str, content: bytes, *, table: bool) -> bytes | None:
        """The answer to a request as JSON (see `core.keras_worker.predict`); None if `content`, not a `table`, is no
        JSON object. Raises NotFound, WrongState, BadRequest for rows the training could not have read, Unavailable.
        """
        job = await self._jobs.get(owner, job_id)
        began = time.monotonic()
        try:
            answer = await self._ask_child(job, content, table)
        except Refused as refusal:
            raise BadRequest(refusal.problems) from None
        except ChildError:
            raise Unavailable("The prediction did not come to its end; try again, with fewer rows.") from None
        if "unreadable" in answer:
            return None
        magnitude = 10 ** (len(str(answer["rows"])) - 1)
        telemetry.record("prediction.duration", time.monotonic() - began, rows=magnitude)
        return answer["answer"].encode()

    async def _ask_child(self, job: Job, content: bytes, table: bool) -> dict[str, Any]:
        arguments = {
            "model": str(await model_file(self._storage, job)),
            "memory_bytes": self._storage.settings.predict_memory_mb * MIB,
            "content": base64.b64encode(content).decode(),
            "table": table,
            "rows": self._storage.settings.predict_max_rows,
            "seconds": _SECONDS,
        }
        # One after the other: each further child would be another TensorFlow in memory, and a cold one.
        async with self._turn, self._pool.child("tensorflow", key=_KEY, idle_seconds=_IDLE_SECONDS) as child:
            return await child.call("predict", arguments, seconds=_LONGEST_SECONDS)


_predictors: WeakKeyDictionary[asyncio.AbstractEventLoop, Predictor] = WeakKeyDictionary()


def predictor() -> Predictor:
    """The predictor of the running event loop, made at its first use; it starts no process by itself."""
    loop = asyncio.get_running_loop()
    if loop not in _predictors:
        _predictors[loop] = Predictor(storage(), shared_pool())
    return _predictors[loop]
