"""Blob triggers: containers are listed every second; each version of a blob is handed over until done."""

import asyncio
import base64
import json
import logging
import re
import time
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlsplit

from aiohttp import web
from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob.aio import BlobServiceClient
from azure.storage.queue import TextBase64EncodePolicy
from azure.storage.queue.aio import QueueClient

from devhost.background import Background
from devhost.errors import HostError, InvocationFailed
from devhost.functions import Function
from devhost.settings import DEFAULT_CONNECTION, Settings
from devhost.store import Store
from devhost.supervisor import Supervisor

_log = logging.getLogger("devhost.blobs")

_POLL_SECONDS = 1.0


class BlobTrigger:
    """One function, and the blobs it is meant for: a container, and names in which `{tokens}` stand for anything.

    Raises HostError for a path that cannot be read."""

    def __init__(self, function: Function, connection: str, account: BlobServiceClient) -> None:
        self.function, self.connection, self.account = function, connection, account
        self.container, _, name = function.trigger["path"].strip("/").partition("/")
        if not self.container or "{" in self.container:
            path = function.trigger["path"]
            raise HostError(f"function {function.name}: the blob path '{path}' must begin with a container name.")
        name = name or "{name}"
        # The literal beginning, which narrows the listing.
        self.prefix = name.partition("{")[0]
        # Greedy and across slashes, as the WebJobs SDK matches.
        self._pattern = re.compile(re.sub(r"\\{\w+\\}", "(.*)", re.escape(name)))
        self.takes_client = bool(function.trigger.get("properties", {}).get("supportsDeferredBinding"))
        self.is_event_grid = str(function.trigger.get("source", "")).lower() == "eventgrid"

    def key(self, name: str) -> str:
        """What a blob's receipt is known by."""
        return f"{self.function.name.lower()}|{self.container}|{name}"

    def matches(self, name: str) -> bool:
        """Whether a blob of the container is meant."""
        return self._pattern.fullmatch(name) is not None

    async def etags(self) -> dict[str, str]:
        """The blobs that are meant, by name, and their ETags; none when there is no such container."""
        listing = self.account.get_container_client(self.container).list_blobs(name_starts_with=self.prefix or None)
        try:
            return {blob.name: blob.etag.strip('"') async for blob in listing if self.matches(blob.name)}
        except ResourceNotFoundError:
            return {}

    async def read(self, name: str, etag: str) -> tuple[dict[str, Any], bytes] | None:
        """What the worker is sent for a blob in the version `etag` (any when empty): its content, or where it lies if
        the function takes a client. None when it is gone or has changed."""
        blob = self.account.get_blob_client(self.container, name)
        condition = {"etag": etag, "match_condition": MatchConditions.IfNotModified} if etag else {}
        try:
            if self.takes_client:
                await blob.get_blob_properties(**condition)
                connection = self.function.trigger.get("connection") or DEFAULT_CONNECTION
                return {"model": {"Connection": connection, "ContainerName": self.container, "BlobName": name}}, b""
            download = await blob.download_blob(**condition)
            content = await download.readall()
        except (ResourceNotFoundError, ResourceModifiedError):
            return None
        found, settings = download.properties, download.properties.content_settings
        properties = {
            "ContentLength": len(content),
            "Length": len(content),
            "ContentType": settings.content_type,
            "ContentEncoding": settings.content_encoding,
            "ContentHash": base64.b64encode(settings.content_md5).decode() if settings.content_md5 else None,
            "ETag": found.etag,
            "CreatedOn": found.creation_time and found.creation_time.isoformat(),
            "LastModified": found.last_modified and found.last_modified.isoformat(),
            "BlobType": 0,
        }
        described = {"name": f"{self.container}/{name}", "uri": blob.url, "blob_properties": properties}
        return {"blob": described | {"metadata": dict(found.metadata or {})}}, content


class BlobTriggers:
    """All blob triggers. A receipt, `[ETag, tries, is done]` by function and blob, stands in the database from the
    moment a version is seen, so a kill at any time repeats an invocation rather than losing it."""

    def __init__(
        self, store: Store, supervisor: Supervisor, settings: Settings, background: Background, *, poll_event_grid: bool
    ) -> None:
        self._poll_event_grid = poll_event_grid
        self._store, self._supervisor, self._settings, self._background = store, supervisor, settings, background
        self._slots = asyncio.Semaphore(settings.concurrent_blobs)
        self._tries = settings.poison_blob_threshold
        self._accounts: dict[str, BlobServiceClient] = {}
        self._triggers: dict[str, BlobTrigger] = {}
        self._receipts: dict[str, list[Any]] = {key: receipt for key, _, receipt in store.all("receipt")}
        self._running: set[str] = set()
        self._polling: asyncio.Task[None] | None = None

    def use(self, functions: list[Function]) -> None:
        """Serves these functions from now on; raises HostError for a bad path or connection."""
        triggers: dict[str, BlobTrigger] = {}
        for function in functions:
            connection = self._settings.connection(function.trigger.get("connection"))
            if connection not in self._accounts:
                # The trigger polls; a failed poll is simply followed by the next one.
                client = BlobServiceClient.from_connection_string(connection, retry_total=0, connection_timeout=5)
                self._accounts[connection] = client
            triggers[function.name.lower()] = BlobTrigger(function, connection, self._accounts[connection])
        self._triggers = triggers
        if triggers and self._polling is None:
            self._polling = self._background.start(self._poll())

    async def close(self) -> None:
        """Closes the connections."""
        for account in self._accounts.values():
            await account.close()

    async def _poll(self) -> None:
        is_reachable = True
        while True:
            begun = time.monotonic()
            try:
                for trigger in list(self._triggers.values()):
                    if self._poll_event_grid or not trigger.is_event_grid:
                        self._note_new(trigger, await trigger.etags())
                is_reachable = True
            except (AzureError, OSError) as error:
                if is_reachable:
                    _log.warning("The storage account of the blob triggers does not answer: %s", error)
                is_reachable = False
            self._start_pending()
            await asyncio.sleep(max(_POLL_SECONDS - (time.monotonic() - begun), 0.05))

    def _note_new(self, trigger: BlobTrigger, etags: dict[str, str]) -> None:
        with self._store.transaction():
            for name, etag in etags.items():
                if self._receipts.get(trigger.key(name), [""])[0] != etag:
                    self._write_receipt(trigger.key(name), etag, 0, is_done=False)

    def _write_receipt(self, key: str, etag: str, tries: int, is_done: bool) -> None:
        self._receipts[key] = [etag, tries, is_done]
        self._store.put("receipt", key, self._receipts[key])

    def _start_pending(self) -> None:
        for key, (_, _, is_done) in self._receipts.items():
            trigger = self._triggers.get(key.partition("|")[0])
            if not is_done and key not in self._running and trigger is not None:
                self._running.add(key)
                task = self._background.start(self._try(trigger, key))
                task.add_done_callback(lambda _, key=key: self._running.discard(key))

    async def _try(self, trigger: BlobTrigger, key: str) -> None:
        async with self._slots:
            etag, tries, _ = self._receipts[key]
            name = key.split("|", 2)[2]
            self._write_receipt(key, etag, tries + 1, is_done=False)
            try:
                is_done = await self._hand_over(trigger, name, etag)
                if not is_done and tries + 1 >= self._tries:
                    await self._poison(trigger, name, etag)
                    is_done = True
            except (AzureError, OSError) as error:
                _log.warning("The blob %s could not be handled now: %s", name, error)
                tries, is_done = tries - 1, False
            if self._receipts[key][0] == etag:  # else a version has come meanwhile, which stays pending
                self._write_receipt(key, etag, tries + 1, is_done)

    async def _hand_over(self, trigger: BlobTrigger, name: str, etag: str) -> bool:
        """One invocation; False when it failed. A blob that is gone or has changed needs none."""
        found = await trigger.read(name, etag)
        if found is not None:
            facts, content = found
            try:
                await self._supervisor.call(trigger.function, content, **facts)
            except InvocationFailed:
                return False
        return True

    async def _poison(self, trigger: BlobTrigger, name: str, etag: str) -> None:
        function, queue = trigger.function.name, "webjobs-blobtrigger-poison"
        _log.error("%s failed %d times for %s; a message went to %s.", function, self._tries, name, queue)
        message = {
            "Type": "BlobTrigger",
            "FunctionId": f"Host.Functions.{function}",
            "BlobType": "BlockBlob",
            "ContainerName": trigger.container,
            "BlobName": name,
            "ETag": f'"{etag}"',
        }
        policy = TextBase64EncodePolicy()
        async with QueueClient.from_connection_string(
            trigger.connection, queue, message_encode_policy=policy
        ) as client:
            with suppress(ResourceExistsError):
                await client.create_queue()
            await client.send_message(json.dumps(message))

    async def receive_events(self, request: web.Request, _values: dict[str, str]) -> web.Response:
        """The webhook through which Event Grid announces blobs: `?functionName=Host.Functions.…`, with one event or a
        list of them. They go to the function without a look at receipts."""
        trigger = self._triggers.get(request.query.get("functionName", "").lower().removeprefix("host.functions."))
        try:
            parsed = json.loads(await request.read())
            events: list[dict[str, Any]] = parsed if isinstance(parsed, list) else [parsed]
            if events[0].get("eventType") == "Microsoft.EventGrid.SubscriptionValidationEvent":
                return web.json_response({"validationResponse": events[0]["data"]["validationCode"]})
            blobs = [(unquote(urlsplit(event["data"]["url"]).path), event["data"].get("eTag", "")) for event in events]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return web.Response(status=400)
        if trigger is None or not trigger.is_event_grid:
            return web.Response(status=404)
        for path, etag in blobs:
            # An emulator's URL begins with the account's name.
            _, is_there, name = path.partition(f"/{trigger.container}/")
            if is_there and trigger.matches(name):
                self._write_receipt(trigger.key(name), etag.strip('"'), 0, is_done=False)
        self._start_pending()
        return web.Response(status=202)
