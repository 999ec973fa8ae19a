"""SAS URLs: create-only for one upload, read-only for one download, both short-lived.

`sp=c` lets a holder write the blob once and neither overwrite, read nor list; size, type and content
cannot be signed and are checked when the file has landed (`core.uploads.landing`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

from azure.storage.blob import BlobSasPermissions, UserDelegationKey, generate_blob_sas
from azure.storage.blob.aio import BlobClient, BlobServiceClient, ContainerClient

from core.base.clients import Storage
from core.base.clock import now

# What a browser has to send with the PUT: Blob Storage takes no default.
UPLOAD_HEADERS = {"x-ms-blob-type": "BlockBlob"}

# A user-delegation key may live seven days; one day is asked for, and half a day is left at least.
_KEY_LIFE = timedelta(days=1)
_KEY_RESERVE = timedelta(hours=12)
# Clocks differ; a key that begins a little in the past is accepted everywhere.
_CLOCK_SKEW = timedelta(minutes=15)


@dataclass(frozen=True)
class SignedUrl:
    url: str
    expires_at: datetime


async def upload_url(
    storage: Storage, name: str, at: datetime | None = None, container: ContainerClient | None = None
) -> SignedUrl:
    """A URL to which the blob `name` can be PUT once, made now or `at` a moment; by default among the uploads."""
    return await _sign(
        storage,
        (container or storage.uploads).get_blob_client(name),
        BlobSasPermissions(create=True),
        (at or now()) + timedelta(minutes=storage.settings.upload_url_minutes),
    )


async def download_url(storage: Storage, name: str, filename: str, content_type: str) -> SignedUrl:
    """A URL from which the blob `name` of the artifacts' container is saved as `filename`."""
    return await _sign(
        storage,
        storage.artifacts.get_blob_client(name),
        BlobSasPermissions(read=True),
        now() + timedelta(minutes=storage.settings.download_url_minutes),
        content_disposition=f'attachment; filename="{filename}"',
        content_type=content_type,
    )


async def _sign(
    storage: Storage, blob: BlobClient, permission: BlobSasPermissions, expires_at: datetime, **headers: Any
) -> SignedUrl:
    token = generate_blob_sas(
        storage.account_name,
        blob.container_name,
        blob.blob_name,
        permission=permission,
        expiry=expires_at,
        # The start is left out: a clock that runs behind would refuse a fresh link.
        protocol="https" if blob.url.startswith("https") else "https,http",
        **await _key(storage),
        **headers,
    )
    return SignedUrl(f"{blob.url}?{token}", expires_at)


async def _key(storage: Storage) -> dict[str, Any]:
    if storage.account_key:
        return {"account_key": storage.account_key}
    lock = _locks.setdefault(storage.blobs, asyncio.Lock())
    async with lock:
        known = _delegation_keys.get(storage.blobs)
        if known is None or known[1] - now() < _KEY_RESERVE:
            expiry = now() + _KEY_LIFE
            key = await storage.blobs.get_user_delegation_key(now() - _CLOCK_SKEW, expiry)
            known = _delegation_keys[storage.blobs] = (key, expiry)
    return {"user_delegation_key": known[0]}


_locks: WeakKeyDictionary[BlobServiceClient, asyncio.Lock] = WeakKeyDictionary()
_delegation_keys: WeakKeyDictionary[BlobServiceClient, tuple[UserDelegationKey, datetime]] = WeakKeyDictionary()
