"""GET /health/: whether the app can do its work, and in words what it lacks."""

from __future__ import annotations

import asyncio
from typing import Annotated

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

routes = Routes()


class Health(TypedDict):
    """Whether the app can do its work."""

    ok: bool
    db: Annotated[bool, Field(description="Whether Blob and Table Storage can be reached.")]
    reasons: Annotated[list[str], Field(description="What it lacks, in sentences.")]


READ_HEALTH = Description(
    "Service",
    "Read the app's health",
    {
        200: Answer.json("All is well.", Health, {"ok": True, "db": True, "reasons": []}),
        503: Answer.json(
            "The app cannot do its work.",
            Health,
            {
                "ok": False,
                "db": True,
                "reasons": ["The keys at JWT_JWKS_URL cannot be fetched, so RS256 and ES256 tokens are refused."],
            },
            "Retry-After",
        ),
    },
)
_PATIENCE_SECONDS = 2.0


@routes.get("health", READ_HEALTH, anonymous=True)
async def read_health(request: Request) -> Response:
    reasons = identity_problems(settings())
    reachable, keys = await asyncio.gather(_storage_answers(), _keys_known())
    if not keys:
        reasons.append("The keys at JWT_JWKS_URL cannot be fetched, so RS256 and ES256 tokens are refused.")
    if not reachable:
        reasons.append("Blob or Table Storage cannot be reached; check AzureWebJobsStorage and the network.")
    body = {"ok": not reasons, "db": reachable, "reasons": reasons}
    return Response.json(body, 503, Unavailable.headers) if reasons else Response.json(body)


async def _keys_known() -> bool:
    """False only where keys are wanted, could be had, and are not."""
    chosen = settings()
    return not chosen.jwt_jwks_url or bool(identity_problems(chosen)) or await key_set(chosen.jwt_jwks_url).known()


async def _storage_answers() -> bool:
    try:
        clients = storage()
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await asyncio.gather(
                clients.uploads.get_container_properties(),
                anext(aiter(clients.tables.list_tables(results_per_page=1)), None),
            )
    except (AzureError, AppError, TimeoutError):
        return False
    return True
