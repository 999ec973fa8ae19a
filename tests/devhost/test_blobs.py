"""Blob triggers as documented: paths with tokens, once per version of a blob, poison after five tries."""

import base64
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import BlobServiceClient, ContentSettings

from tests.devhost.conftest import StartHost
from tests.devhost.running_host import RunningHost, wait_until


class Storage:
    """The app of storage triggers, its account, and the calls it recorded."""

    def __init__(self, host: RunningHost, connection: str, file: Path) -> None:
        self.host = host
        self.blobs = BlobServiceClient.from_connection_string(connection)
        self._file = file

    def put(self, container: str, name: str, data: bytes = b"a,b\n1,2\n", **options: Any) -> None:
        self.blobs.get_blob_client(container, name).upload_blob(data, overwrite=True, **options)

    def calls(self, name: str) -> list[dict[str, Any]]:
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        return [call for call in map(json.loads, lines) if call.get("name") == name]

    def wait_for_calls(self, name: str, count: int = 1) -> list[dict[str, Any]]:
        return wait_until(lambda: len(self.calls(name)) >= count and self.calls(name))


@pytest.fixture(scope="module")
def environment(azurite: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {
        "AzureWebJobsStorage": azurite,
        "RECORD": str(tmp_path_factory.mktemp("record") / "calls"),
        "EVENTS": "events",
        "EVERY_SECOND": "0 0 2 * * *",
    }


@pytest.fixture(scope="module")
def storage(start_shared_host: StartHost, azurite: str, environment: dict[str, str]) -> Iterator[Storage]:
    service = BlobServiceClient.from_connection_string(azurite)
    for container in ("uploads", "bad", "events", "large"):
        service.create_container(container)
    host = start_shared_host("storage", env=environment)
    yield Storage(host, azurite, Path(environment["RECORD"]))
    host.stop()


def test_a_function_that_takes_a_client_gets_one_for_its_blob_and_no_content(storage: Storage):
    """SDK type bindings (azurefunctions-extensions-bindings-blob): the blob is read by the function, if at all."""
    storage.put("large", "a/b.bin", bytes(3_000_000))
    [call] = storage.wait_for_calls("a/b.bin")
    assert (call["kind"], call["container"], call["size"]) == ("client", "large", 3_000_000)


def test_uploaded_blob_starts_the_function_with_its_content(storage: Storage):
    """InputStream: name, URI, length, properties, metadata and content of the blob."""
    storage.put("uploads", "ann/one.csv", metadata={"job": "7"}, content_settings=ContentSettings("text/csv"))
    call = storage.wait_for_calls("uploads/ann/one.csv")[0]
    assert call["text"] == "a,b\n1,2\n"
    assert call["length"] == call["size"] == 8
    assert call["uri"].endswith("/uploads/ann/one.csv")
    assert call["metadata"] == {"job": "7"}
    assert call["type"] == "text/csv"


def test_blob_that_does_not_fit_the_path_starts_nothing(storage: Storage):
    """Blob name patterns: every part of the path must fit."""
    storage.put("uploads", "ann/other.txt")
    storage.put("uploads", "toplevel.csv")
    storage.put("uploads", "ann/deep/er.csv")
    storage.wait_for_calls("uploads/ann/deep/er.csv")
    assert not storage.calls("uploads/ann/other.txt")
    assert not storage.calls("uploads/toplevel.csv")


def test_each_version_of_a_blob_starts_the_function_once(storage: Storage):
    """Blob receipts: an ETag that was handled is not handled again, a new one is."""
    storage.put("uploads", "bob/x.csv", b"first")
    storage.wait_for_calls("uploads/bob/x.csv")
    storage.put("uploads", "bob/x.csv", b"first")
    calls = storage.wait_for_calls("uploads/bob/x.csv", 2)
    storage.put("uploads", "bob/marker.csv")
    storage.wait_for_calls("uploads/bob/marker.csv")
    assert len(storage.calls("uploads/bob/x.csv")) == len(calls) == 2


def test_large_blob_arrives_whole(storage: Storage):
    """The function gets the whole content."""
    storage.put("uploads", "bob/large.csv", b"x" * 5_000_000)
    assert storage.wait_for_calls("uploads/bob/large.csv")[0]["size"] == 5_000_000


def test_blob_that_always_fails_ends_in_the_poison_queue(storage: Storage, azurite: str):
    """Poison blobs: five tries, then a message in webjobs-blobtrigger-poison."""
    name = f"{uuid.uuid4().hex}.bin"
    storage.put("bad", name)
    storage.wait_for_calls(f"bad/{name}", 5)
    message = wait_until(lambda: _poison_message(azurite, name))
    assert message["ContainerName"] == "bad"
    assert message["FunctionId"].endswith("rejected")
    assert len(storage.calls(f"bad/{name}")) == 5


def _poison_message(connection: str, name: str) -> dict[str, Any] | None:
    """Peeks into the queue by a SAS, the account key's own way to read it over plain HTTP."""
    from datetime import UTC, datetime, timedelta
    from urllib.parse import urlencode

    import httpx

    parts = dict(part.split("=", 1) for part in connection.split(";") if part)
    expiry = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    version = "2021-12-02"
    to_sign = "\n".join([parts["AccountName"], "rp", "q", "sco", "", expiry, "", "https,http", version, "", ""])
    signature = _sign(parts["AccountKey"], to_sign)
    query = urlencode({"sv": version, "ss": "q", "srt": "sco", "sp": "rp", "se": expiry, "spr": "https,http",
                       "sig": signature, "peekonly": "true", "numofmessages": "32"})  # fmt: skip
    url = f"{parts['QueueEndpoint'].rstrip('/')}/webjobs-blobtrigger-poison/messages?{query}"
    texts = httpx.get(url).text.split("<MessageText>")[1:]
    messages = [json.loads(base64.b64decode(text.partition("<")[0])) for text in texts]
    return next((message for message in messages if message["BlobName"] == name), None)


def _sign(key: str, text: str) -> str:
    import hashlib
    import hmac

    return base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()


def test_handled_blobs_start_nothing_after_a_restart(
    start_host: StartHost, storage: Storage, environment: dict[str, str], tmp_path: Path
):
    """Blob receipts survive the host; a blob that came meanwhile is found."""
    record = tmp_path / "calls"
    env = environment | {"RECORD": str(record)}
    first = start_host("storage", env=env)
    own = Storage(first, environment["AzureWebJobsStorage"], record)
    own.put("uploads", "eve/before.csv")
    own.wait_for_calls("uploads/eve/before.csv")
    # The receipt is written after the call was answered.
    own.put("uploads", "eve/later.csv")
    own.wait_for_calls("uploads/eve/later.csv")
    first.stop()
    own.put("uploads", "eve/meanwhile.csv")
    start_host("storage", env=env)
    own.wait_for_calls("uploads/eve/meanwhile.csv")
    assert len(own.calls("uploads/eve/before.csv")) == 1


def test_event_grid_trigger_answers_the_validation_handshake(storage: Storage):
    """Event Grid: a subscription is validated by echoing its code."""
    event = [{"eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": {"validationCode": "c0de"}}]
    response = storage.host.http.post(_webhook("announced"), json=event)
    assert response.json() == {"validationResponse": "c0de"}


def test_event_grid_event_starts_the_function(storage: Storage):
    """Event Grid: an event for a blob of the path runs the function."""
    storage.put("events", "e.bin")
    storage.wait_for_calls("events/e.bin")
    client = storage.blobs.get_blob_client("events", "e.bin")
    etag = client.get_blob_properties().etag
    event = {"eventType": "Microsoft.Storage.BlobCreated", "data": {"url": client.url, "eTag": etag}}
    assert storage.host.http.post(_webhook("announced"), json=[event]).status_code in (200, 202)
    storage.wait_for_calls("events/e.bin", 2)


def test_event_grid_event_for_an_unknown_function_is_refused(storage: Storage):
    event = [{"eventType": "Microsoft.Storage.BlobCreated", "data": {"url": "http://x/y/z"}}]
    assert storage.host.http.post(_webhook("nobody"), json=event).status_code == 404


def _webhook(function: str) -> str:
    return f"/runtime/webhooks/blobs?functionName=Host.Functions.{function}"
