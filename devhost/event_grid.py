"""The webhook through which Event Grid announces blobs: `/runtime/webhooks/blobs?functionName=…`."""

import json
from typing import Any

from aiohttp import web

from devhost.triggers.blobs import BlobTriggers

_PREFIX = "host.functions."
_VALIDATION = "Microsoft.EventGrid.SubscriptionValidationEvent"


async def receive_events(request: web.BaseRequest, triggers: BlobTriggers) -> web.Response:
    """Takes one event or a list, in the Event Grid or CloudEvents schema; 404 for an unknown function."""
    name = request.query.get("functionName", "")
    function = name[len(_PREFIX) :] if name.lower().startswith(_PREFIX) else name
    if request.method == "OPTIONS":
        # The handshake of CloudEvents.
        return web.Response(headers={"WebHook-Allowed-Origin": request.headers.get("WebHook-Request-Origin", "*")})
    try:
        parsed = json.loads(await request.read())
        events: list[dict[str, Any]] = parsed if isinstance(parsed, list) else [parsed]
        for event in events:
            if event.get("eventType") == _VALIDATION:
                code = event["data"]["validationCode"]
                return web.Response(text=json.dumps({"validationResponse": code}), content_type="application/json")
        found = [triggers.announce(function, event["data"]["url"], event["data"].get("eTag", "")) for event in events]
    except (ValueError, KeyError, TypeError, AttributeError):
        return web.Response(status=400)
    return web.Response(status=202 if all(found) else 404)
