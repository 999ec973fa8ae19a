"""The HTTP API of the durable extension: what the SDK's client and the management links call."""

import asyncio
import base64
import binascii
import json
import re
import uuid
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from devhost.durable import history
from devhost.durable.engine import AlreadyRunning, Engine
from devhost.durable.entities import entity_id
from devhost.durable.episode import UnknownFunction
from devhost.durable.instance import FAILED, Instance
from devhost.durable.links import Links
from devhost.durable.revival import NotRewindable, rewind
from devhost.durable.status import PAGE, Filter, folded_history, status_of

Request = web.BaseRequest
Answer = web.Response

_BAD_ID = re.compile(r"[/\\#?\x00-\x1f\x7f]")
_LONGEST_ID = 256


class DurableApi:
    """Answers requests below `/durabletask/` and `/runtime/webhooks/durabletask/`."""

    def __init__(self, engine: Engine, links: Links) -> None:
        self._engine = engine
        self._links = links
        self._operations: dict[str, Callable[[Request, Instance], Awaitable[Answer]]] = {
            "terminate": self._terminate,
            "suspend": self._suspend,
            "resume": self._resume,
            "rewind": self._rewind,
            "restart": self._restart,
        }

    async def handle(self, request: Request, path: str) -> Answer:
        """`path` is what follows the prefix, still percent-encoded."""
        parts = [unquote(part) for part in path.strip("/").split("/")]
        match request.method, [parts[0].lower(), *parts[1:]]:
            case "POST", ["orchestrators", name]:
                return await self._start(request, name, uuid.uuid4().hex)
            case "POST", ["orchestrators", name, instance_id]:
                return await self._start(request, name, instance_id)
            case "GET", ["instances"]:
                return self._list(request)
            case "DELETE", ["instances"]:
                return self._purge_many(request)
            case method, ["instances", instance_id, *rest] if rest or method in ("GET", "DELETE"):
                return await self._about(request, instance_id, rest)
            case "GET", ["entities", name, key]:
                exists, state = self._engine.store.entity(entity_id(name, key))
                return _json(json.loads(state or "null")) if exists else web.Response(status=404)
            case "POST", ["entities", name, key]:
                return await self._signal(request, name, key)
        return web.Response(status=404)

    async def _about(self, request: Request, instance_id: str, rest: list[str]) -> Answer:
        instance = self._engine.store.instance(instance_id)
        if instance is None:
            return web.Response(status=404)
        if not rest:
            return self._purge(instance) if request.method == "DELETE" else self._status(request, instance)
        if request.method != "POST":
            return web.Response(status=404)
        if rest[0].lower() == "raiseevent" and len(rest) == 2:
            return await self._raise_event(request, instance, rest[1])
        operation = self._operations.get(rest[0].lower()) if len(rest) == 1 else None
        return await operation(request, instance) if operation else web.Response(status=404)

    # starting

    async def _start(self, request: Request, name: str, instance_id: str) -> Answer:
        if len(instance_id) > _LONGEST_ID or _BAD_ID.search(instance_id) or instance_id.startswith("@"):
            return _error(
                400,
                f"Instance ID '{instance_id}' is not valid: at most {_LONGEST_ID} characters, "
                "none of / \\ # ?, no @ at the beginning.",
            )
        text = (await request.read()).decode("utf-8", "replace").strip() or "null"
        try:
            json.loads(text)
        except ValueError:
            return _error(400, "The request body is not valid JSON.")
        try:
            self._engine.begin(name, instance_id, text, request.query.get("version"))
        except UnknownFunction as error:
            return _error(400, str(error))
        except AlreadyRunning as error:
            return _error(500, str(error), "InvalidOperationException")
        seconds = request.query.get("timeout")
        if seconds and re.fullmatch(r"\d+(\.\d+)?", seconds):
            return await self._wait(request, instance_id, float(seconds))
        return self._accepted(request, instance_id)

    async def _wait(self, request: Request, instance_id: str, seconds: float) -> Answer:
        """The start that answers with the output when it comes in time."""
        deadline = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < deadline:
            instance = self._engine.store.instance(instance_id)
            if instance is not None and not instance.is_live:
                output = json.loads(instance.output or "null")
                return _json(output, 500 if instance.status == FAILED else 200)
            await asyncio.sleep(0.05)
        return self._accepted(request, instance_id)

    def _accepted(self, request: Request, instance_id: str) -> Answer:
        links = self._links.of(instance_id, f"{request.scheme}://{request.headers.get('Host', request.host)}")
        headers = {"Location": links["statusQueryGetUri"], "Retry-After": "10"}
        return _json(links, 202, headers)

    # reading

    def _status(self, request: Request, instance: Instance) -> Answer:
        show_input = _flag(request, "showInput", True)
        body = status_of(instance, show_input)
        if _flag(request, "showHistory"):
            show_output = _flag(request, "showHistoryOutput")
            body["historyEvents"] = folded_history(self._engine.store, instance.id, show_output, show_input)
        if instance.is_live:
            return _json(body, 202, {"Location": str(request.url), "Retry-After": "5"})
        failed = instance.status == FAILED and _flag(request, "returnInternalServerErrorOnFailure")
        return _json(body, 500 if failed else 200)

    def _list(self, request: Request) -> Answer:
        top = request.query.get("top", "")
        limit = int(top) if top.isdigit() and int(top) else PAGE
        try:
            after = _position(request.headers.get("x-ms-continuation-token", ""))
            found = Filter.from_query(request.query).select(self._engine.store, limit + 1, after)
        except ValueError as error:
            return _error(400, str(error))
        page = found[:limit]
        headers = {"x-ms-continuation-token": _token(page[-1])} if len(found) > limit else {}
        show_input = _flag(request, "showInput", False)
        return _json([status_of(instance, show_input) for instance in page], headers=headers)

    # changing

    async def _raise_event(self, request: Request, instance: Instance, name: str) -> Answer:
        if not instance.is_live:
            return web.Response(status=410)
        text = (await request.read()).decode("utf-8", "replace").strip()
        if text and request.content_type != "application/json":
            return _error(400, "Only application/json request content is supported")
        try:
            data = json.loads(text or "null")
        except ValueError:
            return _error(400, "The request body is not valid JSON.")
        event = history.event(history.EVENT_RAISED, Name=name, Input=json.dumps(data))
        self._engine.send(instance.id, event)
        return web.Response(status=202)

    async def _send(self, request: Request, instance: Instance, kind: int) -> Answer:
        if not instance.is_live:
            return web.Response(status=410)
        self._engine.send(instance.id, history.event(kind, Input=request.query.get("reason", "")))
        return web.Response(status=202)

    async def _terminate(self, request: Request, instance: Instance) -> Answer:
        return await self._send(request, instance, history.EXECUTION_TERMINATED)

    async def _suspend(self, request: Request, instance: Instance) -> Answer:
        return await self._send(request, instance, history.EXECUTION_SUSPENDED)

    async def _resume(self, request: Request, instance: Instance) -> Answer:
        return await self._send(request, instance, history.EXECUTION_RESUMED)

    async def _rewind(self, _request: Request, instance: Instance) -> Answer:
        if instance.is_live:
            return _error(500, "The rewind operation is only supported on failed orchestration instances.")
        if instance.status != FAILED:
            return web.Response(status=410)
        try:
            rewind(self._engine, instance)
        except NotRewindable as error:
            return _error(500, str(error), "NotSupportedException")
        return web.Response(status=202)

    async def _restart(self, request: Request, instance: Instance) -> Answer:
        fresh = _flag(request, "restartWithNewInstanceId", True)
        new_id = uuid.uuid4().hex if fresh else instance.id
        try:
            self._engine.begin(instance.name, new_id, instance.input, instance.version)
        except UnknownFunction as error:
            return _error(400, str(error))
        except AlreadyRunning as error:
            return _error(500, str(error), "InvalidOperationException")
        return self._accepted(request, new_id)

    def _purge(self, instance: Instance) -> Answer:
        if instance.is_live:
            return web.Response(status=404)
        self._engine.purge(instance.id)
        return _json({"instancesDeleted": 1})

    def _purge_many(self, request: Request) -> Answer:
        if not request.query.get("createdTimeFrom"):
            return _error(400, "Please provide value for 'createdTimeFrom' parameter.")
        try:
            found = Filter.from_query(request.query).select(self._engine.store)
        except ValueError as error:
            return _error(400, str(error))
        ended = [instance for instance in found if not instance.is_live]
        for instance in ended:
            self._engine.purge(instance.id)
        return _json({"instancesDeleted": len(ended)}) if ended else web.Response(status=404)

    async def _signal(self, request: Request, name: str, key: str) -> Answer:
        try:
            self._engine.check_name("entity", name)
        except UnknownFunction as error:
            return _error(400, str(error))
        text = (await request.read()).decode("utf-8", "replace").strip()
        operation = request.query.get("op", "")
        message = {"op": operation, "signal": True, "input": text or '"null"', "id": str(uuid.uuid4())}
        event = history.event(history.EVENT_SENT, Name="op", Input=json.dumps(message))
        self._engine.send(entity_id(name, key), event)
        return web.Response(status=202)


def _flag(request: Request, name: str, default: bool = False) -> bool:
    text = request.query.get(name)
    return default if text is None else text.lower() == "true"


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    return web.Response(
        body=json.dumps(body).encode(), status=status, content_type="application/json", headers=headers or {}
    )


def _error(status: int, message: str, kind: str = "ArgumentException") -> Answer:
    text = {400: "Bad Request", 500: "Internal Server Error"}[status]
    body = {"Message": text, "ExceptionMessage": message, "ExceptionType": f"System.{kind}", "StackTrace": ""}
    return _json(body, status)


def _token(instance: Instance) -> str:
    return base64.b64encode(json.dumps([instance.created, instance.id]).encode()).decode()


def _position(token: str) -> tuple[float, str] | None:
    if not token:
        return None
    try:
        created, instance_id = json.loads(base64.b64decode(token, validate=True))
    except (binascii.Error, ValueError) as error:
        raise ValueError("The continuation token is not valid.") from error
    return created, instance_id
