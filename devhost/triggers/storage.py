"""A storage account as the triggers use it: listing and reading blobs, and writing a poison message."""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from email.utils import formatdate
from typing import Any
from xml.sax.saxutils import escape

from aiohttp import ClientSession
from azure.core import MatchConditions
from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob.aio import BlobServiceClient

_QUEUE_VERSION = "2021-12-02"


@dataclass(frozen=True)
class Blob:
    """A blob's content and what a function gets to know of it."""

    name: str
    uri: str
    content: bytes
    properties: dict[str, Any]
    metadata: dict[str, str]


class StorageAccount:
    """One account, by connection string."""

    def __init__(self, connection: str) -> None:
        self._connection = connection
        # The trigger polls; a failed poll is simply followed by the next one.
        self._blobs = BlobServiceClient.from_connection_string(connection, retry_total=0, connection_timeout=5)
        self._session: ClientSession | None = None

    async def close(self) -> None:
        """Closes the connections."""
        await self._blobs.close()
        if self._session is not None:
            await self._session.close()

    async def etags(self, container: str, prefix: str) -> dict[str, str]:
        """Name to ETag of all blobs that begin with `prefix`; empty when there is no such container."""
        try:
            listing = self._blobs.get_container_client(container).list_blobs(name_starts_with=prefix or None)
            return {blob.name: blob.etag.strip('"') async for blob in listing}
        except ResourceNotFoundError:
            return {}

    async def has(self, container: str, name: str, etag: str) -> bool:
        """Whether the blob is there in the version `etag` (any when empty)."""
        try:
            found = await self._blobs.get_blob_client(container, name).get_blob_properties()
        except ResourceNotFoundError:
            return False
        return not etag or found.etag.strip('"') == etag

    async def read(self, container: str, name: str, etag: str) -> Blob | None:
        """The blob in the version `etag` (any when empty); None when it is gone or has changed."""
        client = self._blobs.get_blob_client(container, name)
        condition: dict[str, Any] = {}
        if etag:
            condition = {"etag": etag, "match_condition": MatchConditions.IfNotModified}
        try:
            download = await client.download_blob(**condition)
            content = await download.readall()
        except (ResourceNotFoundError, ResourceModifiedError):
            return None
        found = download.properties
        properties = {
            "ContentLength": len(content),
            "Length": len(content),
            "ContentType": found.content_settings.content_type,
            "ContentEncoding": found.content_settings.content_encoding,
            "ContentHash": _text(found.content_settings.content_md5),
            "ETag": found.etag,
            "CreatedOn": _time(found.creation_time),
            "LastModified": _time(found.last_modified),
            "BlobType": 0,
        }
        return Blob(f"{container}/{name}", client.url, content, properties, dict(found.metadata or {}))

    async def put_message(self, queue: str, text: str) -> None:
        """Puts a message into a queue, which is made when missing; raises OSError."""
        body = base64.b64encode(text.encode()).decode()
        message = f"<QueueMessage><MessageText>{escape(body)}</MessageText></QueueMessage>"
        if await self._queue_request("POST", f"/{queue}/messages", message) == 404:
            await self._queue_request("PUT", f"/{queue}", "")
            status = await self._queue_request("POST", f"/{queue}/messages", message)
            if status != 201:
                raise OSError(f"the queue {queue} answered {status}")

    async def _queue_request(self, method: str, path: str, body: str) -> int:
        """One signed request (Shared Key, as documented for the Queue service)."""
        parts = dict(part.split("=", 1) for part in self._connection.split(";") if "=" in part)
        if "AccountKey" not in parts:
            raise OSError("the poison queue can only be written with a connection string that holds a key")
        account = parts["AccountName"]
        suffix = parts.get("EndpointSuffix", "core.windows.net")
        scheme = parts.get("DefaultEndpointsProtocol", "https")
        endpoint = parts.get("QueueEndpoint", f"{scheme}://{account}.queue.{suffix}").rstrip("/")
        # An emulator's address carries the account in its path, and the signature then names it twice.
        own_path = "/" + endpoint.split("://", 1)[1].partition("/")[2] if endpoint.count("/") > 2 else ""
        content = body.encode()
        date = formatdate(usegmt=True)
        to_sign = "\n".join(
            [
                *(method, "", "", str(len(content) or ""), "", "application/xml", "", "", "", "", "", ""),
                f"x-ms-date:{date}",
                f"x-ms-version:{_QUEUE_VERSION}",
                f"/{account}{own_path}{path}",
            ]
        )
        key = base64.b64decode(parts["AccountKey"])
        signature = base64.b64encode(hmac.new(key, to_sign.encode(), hashlib.sha256).digest()).decode()
        headers = {
            "x-ms-date": date,
            "x-ms-version": _QUEUE_VERSION,
            "Content-Type": "application/xml",
            "Authorization": f"SharedKey {account}:{signature}",
        }
        self._session = self._session or ClientSession()
        async with self._session.request(method, endpoint + path, data=content, headers=headers) as response:
            return response.status


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _text(digest: bytes | bytearray | None) -> str | None:
    return base64.b64encode(digest).decode() if digest else None
