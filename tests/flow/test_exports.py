"""Exports over HTTP on a real host: asked for, told of in the job, downloaded, and used."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from azure.data.tables import TableClient

from tests.harness import Backend, chain, presign, two_classes, upload, wait_for_end, wait_until

JOBS = "/api/network/training-jobs/"


def trained(client: httpx.Client, graph: dict[str, Any] | None = None) -> str:
    signed = presign(client, graph, epochs=1)
    assert upload(signed, two_classes()).status_code == 201
    job = wait_for_end(client, signed["job_id"])
    assert job["status"] == "succeeded", job["error"]
    assert (job["result"]["exports"], job["result"]["export_errors"]) == ([], {})
    return job["id"]


@pytest.fixture(scope="module")
def job_id(shared_backend: Backend) -> str:
    """A training whose network ONNX cannot express, and TFLite can."""
    graph = chain(
        ("Input", {"shape": "(2,)"}),
        ("Discretization", {"bin_boundaries": "[0.0, 0.5]"}),
        ("Dense", {"units": 1, "activation": "sigmoid"}),
    )
    return trained(shared_backend.client(), graph)


def ask(client: httpx.Client, job_id: str, kind: Any) -> httpx.Response:
    return client.post(f"{JOBS}{job_id}/export/", json={"format": kind})


def result_of(client: httpx.Client, job_id: str) -> dict[str, Any]:
    return client.get(f"{JOBS}{job_id}/").json()["result"]


def link(client: httpx.Client, job_id: str, kind: str) -> httpx.Response:
    return client.get(f"{JOBS}{job_id}/artifact/", params={"type": kind})


def exports_in_row(backend: Backend, job_id: str) -> dict[str, Any]:
    with TableClient.from_connection_string(backend.storage.connection_string, "jobs") as table:
        [row] = table.query_entities("RowKey eq @key", parameters={"key": f"job-{job_id}"})
        return json.loads(row["exports"])


def test_fifty_requests_at_once_make_one_export_to_download(shared_backend: Backend, job_id: str) -> None:
    client = shared_backend.client()
    assert link(client, job_id, "tflite").status_code == 404
    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(lambda _: ask(client, job_id, "tflite"), range(50)))
    assert {answer.status_code for answer in answers} == {202}, [a.text for a in answers if a.status_code != 202]
    assert all(answer.json().keys() == {"detail"} for answer in answers)
    wait_until(lambda: "tflite" in result_of(client, job_id)["exports"], "the export")
    told = result_of(client, job_id)["export_details"]["tflite"]
    assert told["difference"] <= told["tolerance"] and told["rows"] > 0
    download = httpx.get(link(client, job_id, "tflite").json()["url"], trust_env=False)
    assert download.headers["content-disposition"] == f'attachment; filename="job_{job_id}_model.tflite"'
    assert len(download.content) == told["bytes"] and download.content[4:8] == b"TFL3"
    assert ask(client, job_id, "tflite").status_code == 202
    assert exports_in_row(shared_backend, job_id)["tflite"]["attempt"] == 1


def test_a_format_that_cannot_express_the_network_is_told_in_the_job_and_tried_again(
    shared_backend: Backend, job_id: str
) -> None:
    client = shared_backend.client()
    for attempt in (1, 2):
        assert ask(client, job_id, "onnx").status_code == 202

        def failed(attempt: int = attempt) -> bool:
            row = exports_in_row(shared_backend, job_id).get("onnx", {})
            return row.get("attempt") == attempt and row["outcome"] == "failed"

        wait_until(failed, "the failure")
        assert "Bucketize" in result_of(client, job_id)["export_errors"]["onnx"]
    assert "onnx" not in result_of(client, job_id)["exports"]
    assert link(client, job_id, "onnx").status_code == 404


@pytest.mark.parametrize(
    ("kind", "name", "content_type", "magic"),
    [
        ("saved_model", "saved_model.zip", "application/zip", b"PK"),
        ("script", "predict.py", "text/x-python", b'"""Predicts'),
    ],
)
def test_each_export_downloads_under_its_name(
    shared_backend: Backend, job_id: str, kind: str, name: str, content_type: str, magic: bytes
) -> None:
    client = shared_backend.client()
    assert ask(client, job_id, kind).status_code == 202
    wait_until(lambda: kind in result_of(client, job_id)["exports"], f"the {kind}")
    download = httpx.get(link(client, job_id, kind).json()["url"], trust_env=False)
    assert download.headers["content-disposition"] == f'attachment; filename="job_{job_id}_{name}"'
    assert download.headers["content-type"] == content_type and download.content.startswith(magic)


def test_what_cannot_be_exported_is_refused_with_a_sentence(shared_backend: Backend, job_id: str) -> None:
    client = shared_backend.client()
    queued = presign(client)["job_id"]
    for asked, kind in [(job_id, "pdf"), (job_id, 3), (job_id, None), (job_id, ["onnx"]), (queued, "tflite")]:
        answer = ask(client, asked, kind)
        assert answer.status_code == 400 and answer.json()["detail"], answer.text
    answer = ask(client, queued, "tflite").json()
    assert answer["code"] == "wrong_state" and "succeeded" in answer["detail"]
    assert link(client, job_id, "pdf").status_code == 404


def test_an_export_is_nobody_elses(shared_backend: Backend, job_id: str) -> None:
    assert ask(shared_backend.client("eve"), job_id, "tflite").status_code == 404
    assert ask(shared_backend.client(token=""), job_id, "tflite").status_code == 401
