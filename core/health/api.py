"""GET /health/: whether the app can do its work, and in words what it lacks."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any
from weakref import WeakKeyDictionary

import aiohttp
from azure.core.exceptions import AzureError
from pydantic import Field
from typing_extensions import TypedDict

from core.base.api import Routes
from core.base.auth import identity_problems
from core.base.clients import storage
from core.base.description import Answer, Description
from core.base.errors import AppError, Unavailable
from core.base.http import Request, Response
from core.base.jwks import key_set
from core.base.settings import settings
from core.keras_worker.shared import shared_pool

routes = Routes()


class Health(TypedDict):
    """Whether the app can do its work."""

    ok: bool
    db: Annotated[bool, Field(description="Whether Blob and Table Storage can be reached.")]
    tasks: Annotated[bool, Field(description="Whether the task hub answers, which runs trainings and imports.")]
    children: Annotated[bool, Field(description="Whether the last child process for Keras could be started.")]
    reasons: Annotated[list[str], Field(description="What it lacks, in sentences.")]


_NO_KEYS = "The keys at JWT_JWKS_URL cannot be fetched, so RS256 and ES256 tokens are refused."
_NO_STORAGE = "Blob or Table Storage cannot be reached; check AzureWebJobsStorage and the network."
_NO_TASKS = "The task hub does not answer, so no training or import starts; check its storage and the host's log."
_NO_CHILDREN = "Child processes for Keras cannot be started; check the instance's memory and the log."


def _health(*, reasons: list[str], db: bool, tasks: bool, children: bool) -> Health:
    return {"ok": not reasons, "db": db, "tasks": tasks, "children": children, "reasons": reasons}


READ_HEALTH = Description(
    "Service",
    "Read the app's health",
    {
        200: Answer.json("All is well.", Health, _health(reasons=[], db=True, tasks=True, children=True)),
        503: Answer.json(
            "The app cannot do its work.",
            Health,
            _health(reasons=[_NO_STORAGE], db=False, tasks=True, children=True),
            "Retry-After",
        ),
    },
)
# However often health is asked, storage and task hub are asked no more often than this.
_KEPT_SECONDS = 2.0


@routes.get("health", READ_HEALTH, anonymous=True, durable=True)
async def read_health(request: Request) -> Response:
    loop = asyncio.get_running_loop()
    began, look = _looks.get(loop, (-_KEPT_SECONDS, None))
    if look is None or time.monotonic() - began > _KEPT_SECONDS:
        look = asyncio.ensure_future(_look(request.durable))
        _looks[loop] = (time.monotonic(), look)
    health = await asyncio.shield(look)
    return Response.json(health) if health["ok"] else Response.json(health, 503, Unavailable.headers)


_looks: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[float, asyncio.Future[Health]]] = WeakKeyDictionary()


async def _look(durable: Any) -> Health:
    reasons = identity_problems(settings())
    db, tasks, keys = await asyncio.gather(_storage_answers(), _task_hub_answers(durable), _keys_known())
    children = not shared_pool().failing
    for well, sentence in ((keys, _NO_KEYS), (db, _NO_STORAGE), (tasks, _NO_TASKS), (children, _NO_CHILDREN)):
        if not well:
            reasons.append(sentence)
    return _health(reasons=reasons, db=db, tasks=tasks, children=children)


async def _keys_known() -> bool:
    """False only where keys are wanted, could be had, and are not."""
    chosen = settings()
    return not chosen.jwt_jwks_url or bool(identity_problems(chosen)) or await key_set(chosen.jwt_jwks_url).known()


async def _storage_answers() -> bool:
    try:
        clients = storage()
        async with asyncio.timeout(settings().storage_patience_seconds):
            await asyncio.gather(
                clients.uploads.get_container_properties(),
                anext(aiter(clients.tables.list_tables(results_per_page=1)), None),
            )
    except (AzureError, AppError, TimeoutError):
        return False
    return True


async def _task_hub_answers(durable: Any) -> bool:
    try:
        async with asyncio.timeout(settings().storage_patience_seconds):
            await durable.get_status("health")
    except (aiohttp.ClientError, TimeoutError):
        return False
    return True
