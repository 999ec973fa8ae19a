"""The other door: a small CSV in the body of `POST train`."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.harness import Backend, classifier, two_class_training, two_classes, wait_for_end


def train(client: httpx.Client, content: bytes, filename: str = "data.csv", **changes: Any) -> httpx.Response:
    graph = client.post("/api/network/graphs/", json=classifier()).json()
    fields = {
        name: json.dumps(value) if isinstance(value, list) else str(value)
        for name, value in two_class_training(**changes).items()
    }
    return client.post(f"/api/network/graphs/{graph['id']}/train/", data=fields, files={"file": (filename, content)})


def test_a_form_with_a_csv_is_trained(shared_backend: Backend) -> None:
    client = shared_backend.client()
    answer = train(client, b"\xef\xbb\xbf" + two_classes().replace(b"\n", b"\r\n"))
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert answer.headers["location"] == f"/api/network/training-jobs/{job['id']}/"
    assert job["params"]["x_columns"] == ["a", "b"] and job["params"]["epochs"] == 3
    assert wait_for_end(client, job["id"])["status"] == "succeeded"


@pytest.mark.parametrize(
    ("content", "filename", "told"),
    [
        (b"a,c\n1,2\n", "data.csv", "'b', 'label'"),
        (b"", "data.csv", "empty"),
        (b"PK\x03\x04", "data.csv", "zip"),
        (two_classes(), "data.txt", ".csv"),
    ],
)
def test_a_wrong_file_is_told_under_its_field_and_makes_no_job(
    shared_backend: Backend, content: bytes, filename: str, told: str
) -> None:
    client = shared_backend.client("hedy")
    answer = train(client, content, filename)
    assert answer.status_code == 400 and told in answer.json()["file"][0], answer.text
    assert client.get("/api/network/training-jobs/").json() == []


def test_a_json_body_is_the_wrong_type_here(shared_backend: Backend) -> None:
    client = shared_backend.client()
    graph = client.post("/api/network/graphs/", json=classifier()).json()
    assert client.post(f"/api/network/graphs/{graph['id']}/train/", json={}).status_code == 415
