"""SAS URLs against a real Azurite: by account key and by managed identity (user delegation)."""

from __future__ import annotations

import base64
import json
import ssl
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, cast

import httpx
import pytest
from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential

from azurite.emulator import Certificate, Emulator
from core.base import tables
from core.base.blobs import write_blob
from core.base.clients import Storage as Clients
from core.base.clients import connect
from core.base.clock import now
from core.base.settings import Settings
from core.uploads.sas import UPLOAD_HEADERS, download_url, upload_url
from tests.conftest import ACCOUNTS, ORIGIN
from tests.harness import Storage


@pytest.fixture
async def by_key(storage: Storage) -> AsyncIterator[Clients]:
    clients = connect(storage.settings())
    yield clients
    await clients.close()


def trusting(certificate: Certificate) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate.chain))


class Identity:
    """A managed identity whose tokens Azurite's OAuth mode accepts: it reads their claims, not their signature."""

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        expires = int(time.time()) + 3600
        claims = {
            "aud": "https://storage.azure.com",
            "iss": "https://sts.windows.net/11111111-1111-1111-1111-111111111111/",
            "oid": "22222222-2222-2222-2222-222222222222",
            "tid": "11111111-1111-1111-1111-111111111111",
            "nbf": expires - 3700,
            "iat": expires - 3700,
            "exp": expires,
        }
        parts = [json.dumps(part).encode() for part in ({"alg": "RS256", "typ": "JWT"}, claims)]
        encoded = [base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts]
        return AccessToken(".".join([*encoded, "c2lnbmF0dXJl"]), expires)

    async def close(self) -> None: ...

    async def __aenter__(self) -> Identity:
        return self

    async def __aexit__(self, *details: object) -> None: ...


@pytest.fixture
async def by_identity(oauth_azurite: Emulator, certificate: Certificate) -> AsyncIterator[Clients]:
    account = ACCOUNTS[0]
    values = {
        "AzureWebJobsStorage__accountName": account.name,
        "AzureWebJobsStorage__blobServiceUri": oauth_azurite.endpoint("blob", account),
        "AzureWebJobsStorage__tableServiceUri": oauth_azurite.endpoint("table", account),
    }
    credential = cast(AsyncTokenCredential, Identity())
    clients = connect(Settings.model_validate(values), credential, connection_verify=str(certificate.chain))
    yield clients
    await clients.close()


async def test_a_link_takes_one_upload_and_gives_nothing_back(by_key: Clients) -> None:
    signed = await upload_url(by_key, "o/j/source.csv")
    async with httpx.AsyncClient(trust_env=False) as browser:
        first = await browser.put(signed.url, content=b"a\n1\n", headers=UPLOAD_HEADERS)
        second = await browser.put(signed.url, content=b"a\n2\n", headers=UPLOAD_HEADERS)
        read, deleted = await browser.get(signed.url), await browser.delete(signed.url)
        elsewhere = await browser.put(signed.url.replace("/j/", "/k/"), content=b"", headers=UPLOAD_HEADERS)
    answers = [answer.status_code for answer in (first, second, read, deleted, elsewhere)]
    assert answers == [201, 403, 403, 403, 403]


async def test_an_expired_link_is_refused(by_key: Clients) -> None:
    signed = await upload_url(by_key, "o/j/source.csv", at=now() - timedelta(hours=2))
    assert signed.expires_at < now()
    async with httpx.AsyncClient(trust_env=False) as browser:
        answer = await browser.put(signed.url, content=b"a\n1\n", headers=UPLOAD_HEADERS)
    assert answer.status_code == 403
    assert not await by_key.uploads.get_blob_client("o/j/source.csv").exists()


async def test_a_download_is_saved_under_its_name_and_never_shown(by_key: Clients) -> None:
    await write_blob(by_key.artifacts, "o/j/x", b"<script>", "text/html")
    signed = await download_url(by_key, "o/j/x", "job_1_model.keras", "application/zip")
    async with httpx.AsyncClient(trust_env=False) as browser:
        answer = await browser.get(signed.url)
    assert answer.headers["content-disposition"] == 'attachment; filename="job_1_model.keras"'
    assert answer.headers["content-type"] == "application/zip"


async def test_a_browser_of_an_allowed_origin_may_put_and_another_may_not(by_key: Clients) -> None:
    signed = await upload_url(by_key, "o/j/source.csv")
    asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type,x-ms-blob-type"}
    async with httpx.AsyncClient(trust_env=False) as browser:
        allowed = await browser.options(signed.url, headers={"Origin": ORIGIN, **asked})
        refused = await browser.options(signed.url, headers={"Origin": "http://localhost:1", **asked})
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, ORIGIN)
    assert refused.status_code == 403


async def test_a_managed_identity_signs_links_without_an_account_key(
    by_identity: Clients, certificate: Certificate
) -> None:
    assert by_identity.account_key == ""
    await by_identity.uploads.create_container()
    signed = await upload_url(by_identity, "o/j/source.csv")
    assert "skoid=" in signed.url, "signed by user delegation"
    async with httpx.AsyncClient(trust_env=False, verify=trusting(certificate)) as browser:
        first = await browser.put(signed.url, content=b"a\n1\n", headers=UPLOAD_HEADERS)
        second = await browser.put(signed.url, content=b"a\n2\n", headers=UPLOAD_HEADERS)
    assert (first.status_code, second.status_code) == (201, 403)


async def test_a_managed_identity_reads_and_writes_rows(by_identity: Clients) -> None:
    rows = await tables.table(by_identity.tables, "identity")
    await tables.insert(rows, {"PartitionKey": "p", "RowKey": "r", "value": 1})
    row = await tables.read(rows, "p", "r")
    assert row is not None and row["value"] == 1
