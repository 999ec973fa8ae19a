"""JSON documents in blobs and rows: packing; reading, writing, listing and deleting whole blobs."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import secrets
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import ContentSettings
from azure.storage.blob.aio import BlobClient, ContainerClient

from core.base.disk import need_room
from core.base.http import dump_json

# A binary property of a table row holds 64 KiB; what packs smaller is kept in the row itself.
INLINE_LIMIT = 60 * 1024

# Left for others of this instance when a file is downloaded.
_DISK_RESERVE = 32 * 1024 * 1024

# Within an account a copy is nearly always done when it has begun.
_COPY_POLL_SECONDS = 0.2


def pack(document: Any) -> bytes:
    """The document as gzip-compressed JSON, the same bytes for the same document."""
    return gzip.compress(dump_json(document), compresslevel=5, mtime=0)


def unpack(packed: bytes) -> Any:
    return json.loads(gzip.decompress(packed))


async def write_blob(container: ContainerClient, name: str, data: bytes, content_type: str) -> None:
    """Write the whole blob, over an older one of that name."""
    await container.upload_blob(name, data, overwrite=True, content_settings=ContentSettings(content_type=content_type))


async def read_blob(container: ContainerClient, name: str) -> bytes:
    """The whole blob. Raises ResourceNotFoundError."""
    downloader = await container.download_blob(name)
    return await downloader.readall()


async def upload_file(container: ContainerClient, name: str, path: Path, content_type: str) -> None:
    """Write the file as a blob, in pieces: files of a training may be larger than memory allows."""
    with path.open("rb") as file:
        await container.upload_blob(
            name,
            file,
            length=os.fstat(file.fileno()).st_size,
            overwrite=True,
            content_settings=ContentSettings(content_type=content_type),
        )


async def download_file(blob: BlobClient, path: Path, **conditions: Any) -> None:
    """Write the blob to `path`, whole or not at all. Raises NoRoom, and what the download raises."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    downloader = await blob.download_blob(max_concurrency=2, **conditions)
    need_room(path.parent, downloader.size + _DISK_RESERVE, "This file")
    try:
        with part.open("wb") as file:
            async for chunk in downloader.chunks():
                await asyncio.to_thread(file.write, chunk)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


async def copy_blob(container: ContainerClient, source: str, target: str) -> None:
    """Copy a blob inside its container; no byte of it passes through here. Raises ResourceNotFoundError."""
    blob = container.get_blob_client(target)
    copy: Any = await blob.start_copy_from_url(container.get_blob_client(source).url)
    status = copy["copy_status"]
    while status == "pending":
        await asyncio.sleep(_COPY_POLL_SECONDS)
        status = (await blob.get_blob_properties()).copy.status
    if status != "success":
        raise AzureError(f"the copy of a blob ended as {status}")


async def delete_blob(container: ContainerClient, name: str, etag: str | None = None) -> bool:
    """Delete the blob with its snapshots, if `etag` is given only that version of it: whether it is gone."""
    condition: dict[str, Any] = {"etag": etag, "match_condition": MatchConditions.IfNotModified} if etag else {}
    try:
        await container.delete_blob(name, delete_snapshots="include", **condition)
    except ResourceModifiedError:
        return False
    except ResourceNotFoundError:
        return True
    return True


async def modified_at(blob: BlobClient) -> datetime | None:
    """When the blob was last written; None where there is none."""
    try:
        return (await blob.get_blob_properties()).last_modified
    except ResourceNotFoundError:
        return None


async def pages(container: ContainerClient, *, size: int, token: str = "") -> AsyncIterator[tuple[list[Any], str]]:
    """The container's blobs in the order of their names, at most `size` at a time, with the next page's token.

    Each has `name`, `etag` and `last_modified`. The last page's token is "".
    """
    by_page: Any = container.list_blobs(results_per_page=size).by_page(continuation_token=token or None)
    async for page in by_page:
        listed = [blob async for blob in page]
        yield listed, by_page.continuation_token or ""


async def write_document(container: ContainerClient, name: str, document: Any) -> bytes:
    """Write the packed document and return its packed bytes, for an inline copy in a row."""
    packed = await asyncio.to_thread(pack, document)
    await write_blob(container, name, packed, "application/gzip")
    return packed


async def read_document(container: ContainerClient, name: str) -> Any:
    return await asyncio.to_thread(unpack, await read_blob(container, name))
