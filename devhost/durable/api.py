"""The HTTP API of the durable extension: what the SDK's client and the management links call."""

import asyncio
import base64
import json
import re
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiohttp import web

from devhost.durable.actions import entity_event
from devhost.durable.engine import Engine, InvalidOperation
from devhost.durable.entities import entity_id
from devhost.durable.events import EventType, new_event, unix_seconds
from devhost.durable.instance import FAILED, Instance
from devhost.durable.views import Links, folded, status_of
from devhost.functions import UnknownFunction

Values = dict[str, str]
Endpoint = Callable[[web.Request, Values], Awaitable[web.Response]]

_BAD_ID = re.compile(r"[/\\#?\x00-\x1f\x7f]")
_LONGEST_ID = 256
_PAGE = 100
_POLL_SECONDS = 0.05


class DurableApi:
    """The endpoints below `/durabletask/` and `/runtime/webhooks/durabletask/`."""

    def __init__(self, engine: Engine, links: Links) -> None:
        self._engine, self._links = engine, links

    def endpoints(self) -> list[tuple[str, str, Endpoint]]:
        """Method, route template and handler of each."""
        table: list[tuple[str, str, Endpoint]] = [
            ("POST", "orchestrators/{name}/{id?}", self._start),
            ("GET", "instances", self._list),
            ("DELETE", "instances", self._purge_many),
            ("GET", "instances/{id}", self._status),
            ("DELETE", "instances/{id}", self._purge),
            ("POST", "instances/{id}/raiseEvent/{event}", self._raise_event),
            ("POST", "instances/{id}/terminate", partial(self._send, EventType.ExecutionTerminated)),
            ("POST", "instances/{id}/suspend", partial(self._send, EventType.ExecutionSuspended)),
            ("POST", "instances/{id}/resume", partial(self._send, EventType.ExecutionResumed)),
            ("POST", "instances/{id}/rewind", self._rewind),
            ("POST", "instances/{id}/restart", self._restart),
            ("GET", "entities/{name}/{key}", self._read_entity),
            ("POST", "entities/{name}/{key}", self._signal_entity),
        ]
        return [(method, template, _explained(endpoint)) for method, template, endpoint in table]

    def _instance(self, values: Values, *, live: bool = False) -> Instance:
        """The instance a request is about; `live` refuses one that has ended."""
        instance = self._engine.instances.get(values["id"])
        if instance is None:
            raise web.HTTPNotFound(text="")
        if live and not instance.is_live:
            raise web.HTTPGone(text="")
        return instance

    # starting

    async def _start(self, request: web.Request, values: Values) -> web.Response:
        instance_id = values.get("id") or uuid.uuid4().hex
        if len(instance_id) > _LONGEST_ID or _BAD_ID.search(instance_id) or instance_id.startswith("@"):
            raise ValueError(
                f"Instance ID '{instance_id}' is not valid: at most {_LONGEST_ID} characters, "
                "none of / \\ # ?, no @ at the beginning."
            )
        text = await _json_text(request)
        self._engine.create(values["name"], instance_id, text, request.query.get("version", ""))
        # With `timeout` the answer is the output, if that comes in time.
        for _ in range(round(float(request.query.get("timeout", "0")) / _POLL_SECONDS)):
            instance = self._engine.instances.get(instance_id)
            if instance is not None and not instance.is_live:
                return _json(instance.output, 500 if instance.status == FAILED else 200)
            await asyncio.sleep(_POLL_SECONDS)
        return self._accepted(request, instance_id)

    def _accepted(self, request: web.Request, instance_id: str) -> web.Response:
        links = self._links.of(instance_id, f"{request.scheme}://{request.headers.get('Host', request.host)}")
        return _json(links, 202, {"Location": links["statusQueryGetUri"], "Retry-After": "10"})

    async def _restart(self, request: web.Request, values: Values) -> web.Response:
        instance = self._instance(values)
        new_id = uuid.uuid4().hex if _flag(request, "restartWithNewInstanceId", True) else instance.id
        self._engine.create(instance.name, new_id, instance.input, instance.version)
        return self._accepted(request, new_id)

    # reading

    async def _status(self, request: web.Request, values: Values) -> web.Response:
        instance, show_input = self._instance(values), _flag(request, "showInput", True)
        body = status_of(instance, show_input)
        if _flag(request, "showHistory"):
            history = self._engine.history(instance.id)
            body["historyEvents"] = folded(history, _flag(request, "showHistoryOutput"), show_input)
        if instance.is_live:
            return _json(body, 202, {"Location": str(request.url), "Retry-After": "5"})
        failed = instance.status == FAILED and _flag(request, "returnInternalServerErrorOnFailure")
        return _json(body, 500 if failed else 200)

    async def _list(self, request: web.Request, _values: Values) -> web.Response:
        top = request.query.get("top", "")
        size = int(top) if top.isdigit() and int(top) else _PAGE
        token = request.headers.get("x-ms-continuation-token")
        after = tuple(json.loads(base64.b64decode(token, validate=True))) if token else (0.0, "")
        found = [instance for instance in self._matching(request) if (instance.created, instance.id) > after]
        headers: dict[str, str] = {}
        if len(found) > size:
            position = json.dumps([found[size - 1].created, found[size - 1].id])
            headers["x-ms-continuation-token"] = base64.b64encode(position.encode()).decode()
        return _json([status_of(one, _flag(request, "showInput")) for one in found[:size]], headers=headers)

    def _matching(self, request: web.Request) -> list[Instance]:
        """The instances that the query asks for, oldest first."""
        query = request.query
        since = unix_seconds(query["createdTimeFrom"]) if query.get("createdTimeFrom") else 0.0
        until = unix_seconds(query["createdTimeTo"]) if query.get("createdTimeTo") else float("inf")
        statuses = {part.strip().lower() for part in query.get("runtimeStatus", "").split(",") if part.strip()}
        found = [
            instance
            for instance in self._engine.instances.values()
            if since <= instance.created <= until
            and (not statuses or instance.status.lower() in statuses)
            and instance.id.startswith(query.get("instanceIdPrefix", ""))
        ]
        return sorted(found, key=lambda instance: (instance.created, instance.id))

    # changing

    async def _raise_event(self, request: web.Request, values: Values) -> web.Response:
        instance = self._instance(values, live=True)
        if request.can_read_body and request.content_type != "application/json":
            raise ValueError("Only application/json request content is supported")
        text = await _json_text(request)
        self._engine.send(instance.id, new_event(EventType.EventRaised, Name=values["event"], Input=text))
        return web.Response(status=202)

    async def _send(self, kind: EventType, request: web.Request, values: Values) -> web.Response:
        instance = self._instance(values, live=True)
        self._engine.send(instance.id, new_event(kind, Input=request.query.get("reason", "")))
        return web.Response(status=202)

    async def _rewind(self, _request: web.Request, values: Values) -> web.Response:
        instance = self._instance(values)
        if not instance.is_live and instance.status != FAILED:
            raise web.HTTPGone(text="")
        self._engine.rewind(instance)
        return web.Response(status=202)

    async def _purge(self, _request: web.Request, values: Values) -> web.Response:
        return self._purged([self._instance(values)])

    async def _purge_many(self, request: web.Request, _values: Values) -> web.Response:
        if not request.query.get("createdTimeFrom"):
            raise ValueError("Please provide value for 'createdTimeFrom' parameter.")
        return self._purged(self._matching(request))

    def _purged(self, instances: list[Instance]) -> web.Response:
        ended = [instance for instance in instances if not instance.is_live]
        for instance in ended:
            self._engine.purge(instance.id)
        if not ended:
            raise web.HTTPNotFound(text="")
        return _json({"instancesDeleted": len(ended)})

    # entities

    async def _read_entity(self, _request: web.Request, values: Values) -> web.Response:
        entity = self._engine.entity_state(entity_id(values["name"], values["key"]))
        if entity is None:
            raise web.HTTPNotFound(text="")
        return _json(json.loads(entity["state"] or "null"))

    async def _signal_entity(self, request: web.Request, values: Values) -> web.Response:
        self._engine.functions.require("entitytrigger", values["name"])
        text = (await request.text()).strip() or '"null"'
        target = entity_id(values["name"], values["key"])
        self._engine.send(target, entity_event(target, request.query.get("op", ""), text, caller={}))
        return web.Response(status=202)


def _explained(endpoint: Endpoint) -> Endpoint:
    """Answers what the engine and bad requests raise in the extension's form."""

    async def answer(request: web.Request, values: Values) -> web.Response:
        try:
            return await endpoint(request, values)
        except (UnknownFunction, ValueError) as error:
            status, text, kind, message = 400, "Bad Request", "System.ArgumentException", str(error)
        except InvalidOperation as error:
            status, text, kind, message = 500, "Internal Server Error", "System.InvalidOperationException", str(error)
        return _json({"Message": text, "ExceptionMessage": message, "ExceptionType": kind, "StackTrace": ""}, status)

    return answer


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(text=json.dumps(body), status=status, content_type="application/json", headers=headers)


async def _json_text(request: web.Request) -> str:
    """The body, which must be JSON; none is null."""
    text = (await request.read()).decode("utf-8", "replace").strip() or "null"
    try:
        json.loads(text)
    except ValueError as error:
        raise ValueError("The request body is not valid JSON.") from error
    return text


def _flag(request: web.Request, name: str, default: bool = False) -> bool:
    text = request.query.get(name)
    return default if text is None else text.lower() == "true"
