"""Blob triggers: containers are listed every second; each version of a blob is handed over until done."""

import asyncio
import json
import logging
import time
import uuid
from typing import Any
from urllib.parse import unquote, urlsplit

from aiohttp import ClientError
from azure.core.exceptions import AzureError

from devhost.background import Background
from devhost.durable.store import Store
from devhost.errors import InvocationFailed, WorkerGone
from devhost.functions import Function
from devhost.host_file import HostFile
from devhost.settings import DEFAULT_CONNECTION, Settings
from devhost.supervisor import Supervisor
from devhost.triggers.blob_path import BlobPath
from devhost.triggers.storage import StorageAccount

_log = logging.getLogger("devhost.blobs")

POISON_QUEUE = "webjobs-blobtrigger-poison"
_POLL_SECONDS = 1.0
_PENDING, _DONE, _POISONED = range(3)


class BlobTrigger:
    """One function, the blobs it is meant for, and the account they lie in."""

    def __init__(self, function: Function, account: StorageAccount) -> None:
        self.function = function
        self.account = account
        self.path = BlobPath.parse(function.name, function.trigger["path"])
        self.takes_client = bool(function.trigger.get("properties", {}).get("supportsDeferredBinding"))
        self.is_event_grid = str(function.trigger.get("source", "")).lower() == "eventgrid"


class BlobTriggers:
    """All blob triggers. A receipt (function, blob, ETag) stands in the database from the moment a version is
    seen, so a kill at any time repeats an invocation rather than losing it."""

    def __init__(
        self, store: Store, supervisor: Supervisor, settings: Settings, host_file: HostFile, *, poll_event_grid: bool
    ) -> None:
        self._store = store
        self._supervisor = supervisor
        self._settings = settings
        self._slots = asyncio.Semaphore(host_file.concurrent_blobs)
        self._poll_event_grid = poll_event_grid
        self._tries = host_file.poison_blob_threshold
        self._accounts: dict[str, StorageAccount] = {}
        self._triggers: dict[str, BlobTrigger] = {}
        self._running: set[tuple[str, str]] = set()
        self._background = Background()
        self._is_polling = False
        self._is_reachable = True

    def use(self, functions: list[Function]) -> None:
        """Serves these functions from now on; raises HostError for a bad path or connection."""
        triggers: dict[str, BlobTrigger] = {}
        for function in functions:
            connection = self._settings.connection(function.trigger.get("connection"))
            if connection not in self._accounts:
                self._accounts[connection] = StorageAccount(connection)
            triggers[function.name] = BlobTrigger(function, self._accounts[connection])
        self._triggers = triggers
        if triggers and not self._is_polling:
            self._is_polling = True
            self._background.start(self._poll_always())

    async def stop(self) -> None:
        """Stops polling and abandons what runs; its receipts stay pending."""
        await self._background.stop()
        for account in self._accounts.values():
            await account.close()

    async def _poll_always(self) -> None:
        while True:
            begun = time.monotonic()
            try:
                await self._look()
                self._is_reachable = True
            except (AzureError, ClientError, OSError) as error:
                if self._is_reachable:
                    _log.warning("The storage account of the blob triggers does not answer: %s", error)
                self._is_reachable = False
            self._start_pending()
            await asyncio.sleep(max(_POLL_SECONDS - (time.monotonic() - begun), 0.05))

    async def _look(self) -> None:
        for trigger in list(self._triggers.values()):
            if trigger.is_event_grid and not self._poll_event_grid:
                continue
            etags = await trigger.account.etags(trigger.path.container, trigger.path.prefix)
            sql = "SELECT blob, etag FROM receipts WHERE function = ?"
            known = dict(self._store.execute(sql, trigger.function.name))
            fresh = {
                blob: etag
                for name, etag in etags.items()
                if trigger.path.matches(name) and known.get(blob := f"{trigger.path.container}/{name}") != etag
            }
            if fresh:
                with self._store.transaction():
                    for blob, etag in fresh.items():
                        self._note(trigger, blob, etag)

    def _note(self, trigger: BlobTrigger, blob: str, etag: str) -> None:
        row = (trigger.function.name, blob, etag, 0, _PENDING)
        self._store.execute("INSERT OR REPLACE INTO receipts VALUES (?, ?, ?, ?, ?)", *row)

    def announce(self, function: str, url: str, etag: str) -> bool:
        """An Event Grid event for a blob; False when no function of that name takes such events."""
        trigger = next((t for name, t in self._triggers.items() if name.lower() == function.lower()), None)
        if trigger is None or not trigger.is_event_grid:
            return False
        path = unquote(urlsplit(url).path).lstrip("/")
        container = trigger.path.container
        # An emulator's URL begins with the account's name.
        blob = path if path.startswith(f"{container}/") else path.partition("/")[2]
        if blob.startswith(f"{container}/") and trigger.path.matches(blob[len(container) + 1 :]):
            with self._store.transaction():
                self._note(trigger, blob, etag.strip('"'))
            self._start_pending()
        return True

    def _start_pending(self) -> None:
        sql = "SELECT function, blob, etag, attempts FROM receipts WHERE done = ?"
        for name, blob, etag, attempts in self._store.execute(sql, _PENDING):
            trigger, key = self._triggers.get(name), (name, blob)
            if trigger is None or key in self._running:
                continue
            self._running.add(key)
            task = self._background.start(self._run(trigger, blob, etag, attempts + 1))
            task.add_done_callback(lambda _, key=key: self._running.discard(key))

    async def _run(self, trigger: BlobTrigger, blob: str, etag: str, attempt: int) -> None:
        async with self._slots:
            self._update(trigger, blob, etag, "attempts = ?", attempt)
            try:
                is_done = await self._hand_over(trigger, blob, etag)
                if not is_done and attempt >= self._tries:
                    await self._poison(trigger, blob, etag)
                    self._update(trigger, blob, etag, "done = ?", _POISONED)
                elif is_done:
                    self._update(trigger, blob, etag, "done = ?", _DONE)
            except (AzureError, ClientError, OSError) as error:
                _log.warning("The blob %s could not be handled now: %s", blob, error)
                self._update(trigger, blob, etag, "attempts = ?", attempt - 1)

    async def _hand_over(self, trigger: BlobTrigger, blob: str, etag: str) -> bool:
        """One invocation; False when it failed. A blob that is gone or has changed needs none."""
        message = await self._message(trigger, blob, etag)
        if message is None:
            return True
        header, content = message
        try:
            await self._supervisor.call(trigger.function, {"invocation": str(uuid.uuid4()), **header}, content)
        except InvocationFailed as error:
            _log.error("Executed 'Functions.%s' (Failed): %s", trigger.function.name, error.stack or error)
            return False
        except WorkerGone as error:
            _log.error("Executed 'Functions.%s' (Failed): %s.", trigger.function.name, error)
            return False
        return True

    async def _message(self, trigger: BlobTrigger, blob: str, etag: str) -> tuple[dict[str, Any], bytes] | None:
        """What the worker is sent: the content, or where it lies if the function takes a client; None if it is gone."""
        container, _, name = blob.partition("/")
        if trigger.takes_client:
            if not await trigger.account.has(container, name, etag):
                return None
            connection = trigger.function.trigger.get("connection") or DEFAULT_CONNECTION
            return {"model": {"Connection": connection, "ContainerName": container, "BlobName": name}}, b""
        found = await trigger.account.read(container, name, etag)
        if found is None:
            return None
        header = {"name": found.name, "uri": found.uri, "properties": found.properties, "metadata": found.metadata}
        return header, found.content

    async def _poison(self, trigger: BlobTrigger, blob: str, etag: str) -> None:
        container, _, name = blob.partition("/")
        message = {
            "Type": "BlobTrigger",
            "FunctionId": f"Host.Functions.{trigger.function.name}",
            "BlobType": "BlockBlob",
            "ContainerName": container,
            "BlobName": name,
            "ETag": f'"{etag}"',
        }
        _log.error("%s failed %d times for %s; a message went to %s.",
                   trigger.function.name, self._tries, blob, POISON_QUEUE)  # fmt: skip
        await trigger.account.put_message(POISON_QUEUE, json.dumps(message))

    def _update(self, trigger: BlobTrigger, blob: str, etag: str, change: str, value: int) -> None:
        # The ETag in the condition: a version that came meanwhile stays pending.
        sql = f"UPDATE receipts SET {change} WHERE function = ? AND blob = ? AND etag = ?"
        self._store.execute(sql, value, trigger.function.name, blob, etag)
