"""Keys, tokens and signed links appear nowhere but where they are handed out."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from tests.harness import SIGNING_KEY, Backend, bearer, presign, two_classes, upload, wait_for_end, wait_until
from tests.unit.importing.corpus import dense, keras_file, sequential

JOBS, IMPORTS = "/api/network/training-jobs", "/api/network/import-jobs"


def run_all(served: Backend, token: str) -> tuple[list[str], list[str], list[str]]:
    """One training that succeeds, one that fails, imports of both kinds, and what goes wrong beside them.

    The ids of the jobs, the answers that hand out links, and all other answers.
    """
    client = served.client(token=token)
    answers: list[httpx.Response] = []
    client.event_hooks["response"].append(answers.append)
    jobs: list[str] = []
    for content in (two_classes(), b"a,b,label\n1,no number,0\n" * 30):
        signed = presign(client, save_best_model=True, save_training_logs=True)
        upload(signed, content)
        jobs.append(signed["job_id"])
        client.post(f"{JOBS}/{signed['job_id']}/start/")
    ended = [wait_for_end(client, job_id) for job_id in jobs]
    assert [job["status"] for job in ended] == ["succeeded", "failed"]
    client.get(f"{JOBS}/{jobs[0]}/artifact/")
    client.post(f"{JOBS}/{jobs[0]}/predict/", json={"instances": [[1, 2]]})
    for content in (keras_file(sequential(dense())), b"no model"):
        signed = client.post(f"{IMPORTS}/presign-upload/", json={"filename": "model.keras"}).json()
        upload(signed, content)
        path = f"{IMPORTS}/{signed['job_id']}/"
        client.post(f"{path}start/")
        wait_until(lambda path=path: client.get(path).json()["status"] in ("succeeded", "failed"), "the import")
        jobs.append(signed["job_id"])
    for path in (JOBS, IMPORTS, "/api/network/graphs/", "/api/network/nothing/", "/health/"):
        client.get(path)
        client.get(path, headers={"Authorization": f"Bearer {token[:-3]}abc"})
    client.post("/api/network/graphs/", content=b"{")
    texts = [(answer.request.url.path, answer.text) for answer in answers]
    handed_out = [text for path, text in texts if path.endswith(("/presign-upload/", "/artifact/"))]
    others = [text for path, text in texts if not path.endswith(("/presign-upload/", "/artifact/"))]
    return jobs, handed_out, others


def kept_in_storage(served: Backend) -> Iterator[tuple[str, bytes]]:
    """Every row, blob and message of the account, by where it is."""
    connection = served.storage.connection_string
    with TableServiceClient.from_connection_string(connection) as tables:
        for table in tables.list_tables():
            for row in tables.get_table_client(table.name).list_entities():
                for name, value in row.items():
                    yield f"table {table.name}, {name}", plain(value)
    with BlobServiceClient.from_connection_string(connection) as blobs:
        for container in blobs.list_containers():
            client = blobs.get_container_client(container.name)
            for blob in client.list_blobs(include=["metadata"]):
                yield f"blob {container.name}/{blob.name}", plain(client.download_blob(blob.name).readall())
                yield f"metadata of {container.name}/{blob.name}", plain(json.dumps(blob.metadata or {}))
    with QueueServiceClient.from_connection_string(connection) as queues:
        for queue in queues.list_queues():
            for message in queues.get_queue_client(queue.name).peek_messages(32):
                yield f"queue {queue.name}", plain(message.content)


def plain(value: Any) -> bytes:
    content = value if isinstance(value, bytes) else str(value).encode()
    return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content


def test_no_key_token_or_signed_link_is_written_or_answered_anywhere_else(
    backend: Callable[..., Backend], session_folder: Path
) -> None:
    served = backend()
    token = bearer("ada")
    jobs, handed_out, answers = run_all(served, token)
    assert all("sig=" in text for text in handed_out) and len(handed_out) == 5

    folder = session_folder / f"backend-{httpx.URL(served.url).port}"
    host = f"{served.url}/runtime/webhooks/durabletask/instances/"
    asked = {"showInput": "true", "showHistory": "true", "showHistoryOutput": "true"}
    histories = [httpx.get(host + job, params=asked, trust_env=False).text for job in jobs]
    places = [*kept_in_storage(served)]
    places += [("an answer", text.encode()) for text in answers]
    places += [("a history", text.encode()) for text in histories]
    places += [(path.name, path.read_bytes()) for path in folder.rglob("*") if path.is_file()]
    # What is searched is what was written: the log, the host's store, rows, blobs and histories name the jobs.
    for kind in ("host.log", ".db", "table jobs", "table imports", "a history", "an answer"):
        assert any(kind in where and jobs[0].encode() in content for where, content in places) or any(
            kind in where and jobs[2].encode() in content for where, content in places
        ), kind

    key = served.storage.account.key
    secrets = [key, base64.b64decode(key).decode(), SIGNING_KEY, token, token.rpartition(".")[2], "AccountKey=", "sig="]
    found = [(where, secret) for where, content in places for secret in secrets if secret.encode() in content]
    assert not found
