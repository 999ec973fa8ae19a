"""The only place that builds SDK clients; everybody else is handed one.

An aio client belongs to the event loop it first ran on, so there is one set of clients for each loop.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from azure.core.credentials import AzureNamedKeyCredential
from azure.core.credentials_async import AsyncTokenCredential
from azure.data.tables.aio import TableServiceClient
from azure.identity.aio import DefaultAzureCredential
from azure.storage.blob.aio import BlobServiceClient, ContainerClient

from core.base.errors import Unavailable
from core.base.settings import Settings, settings
from core.base.transport import BlobRetry, TableRetry, Transport


@dataclass(frozen=True)
class Storage:
    """The clients of one storage account; `account_key` is "" where managed identity is used."""

    blobs: BlobServiceClient
    tables: TableServiceClient
    account_name: str
    account_key: str
    settings: Settings

    @property
    def artifacts(self) -> ContainerClient:
        return self.blobs.get_container_client(self.settings.azure_container)

    @property
    def uploads(self) -> ContainerClient:
        return self.blobs.get_container_client(self.settings.uploads_container)

    @property
    def imports(self) -> ContainerClient:
        return self.blobs.get_container_client(self.settings.imports_container)

    @property
    def graphs(self) -> ContainerClient:
        return self.blobs.get_container_client(self.settings.graphs_container)

    async def close(self) -> None:
        await self.blobs.close()
        await self.tables.close()


_storages: WeakKeyDictionary[asyncio.AbstractEventLoop, Storage] = WeakKeyDictionary()


def storage() -> Storage:
    """The clients of the running event loop, built at their first use."""
    loop = asyncio.get_running_loop()
    if loop not in _storages:
        _storages[loop] = connect(settings())
    return _storages[loop]


def connect(chosen: Settings, credential: AsyncTokenCredential | None = None, **transport: Any) -> Storage:
    """Clients for the account that the settings name. Raises Unavailable where they name none.

    `credential` replaces DefaultAzureCredential where no key is set; `transport` goes to the SDK's.
    """
    blob_options: dict[str, Any] = {
        "retry_policy": BlobRetry(),
        "transport": Transport(connection_data_block_size=256 * 1024, **transport),
        "max_single_put_size": 8 * 1024 * 1024,
        "max_block_size": 8 * 1024 * 1024,
    }
    table_options: dict[str, Any] = {"retry_policy": TableRetry(), "transport": Transport(**transport)}
    if connection := _connection_string(chosen):
        blobs = BlobServiceClient.from_connection_string(connection, **blob_options)
        tables = TableServiceClient.from_connection_string(connection, **table_options)
        return Storage(blobs, tables, str(blobs.account_name), blobs.credential.account_key, chosen)
    name = chosen.azure_account_name or chosen.storage_account
    scheme = "https" if chosen.azure_ssl else "http"
    blob_url = chosen.blob_endpoint or (name and f"{scheme}://{name}.blob.core.windows.net")
    table_url = chosen.table_endpoint or (name and f"{scheme}://{name}.table.core.windows.net")
    if not (blob_url and table_url):
        raise Unavailable("No storage account is configured; set AzureWebJobsStorage.")
    key = chosen.azure_account_key.get_secret_value()
    if key:
        blobs = BlobServiceClient(blob_url, credential={"account_name": name, "account_key": key}, **blob_options)
        tables = TableServiceClient(table_url, credential=AzureNamedKeyCredential(name, key), **table_options)
    else:
        identity = credential or DefaultAzureCredential()
        blobs = BlobServiceClient(blob_url, credential=identity, **blob_options)
        tables = TableServiceClient(table_url, credential=identity, **table_options)
    # An endpoint that is no public cloud's does not begin with the account's name.
    return Storage(blobs, tables, name or str(blobs.account_name), key, chosen)


def _connection_string(chosen: Settings) -> str:
    # AZURE_ACCOUNT_NAME is the older setting; where it is set it means more than the host's own storage.
    return "" if chosen.azure_account_name else chosen.storage_connection.get_secret_value()
