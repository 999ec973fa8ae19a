"""Model files over HTTP on a real host: by form or upload URL, read in a child, made a graph."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from core.base.settings import Settings
from tests.harness import ENDED, Backend, upload, wait_until
from tests.unit.importing.corpus import dense, external_link, keras_file, layer, sequential, with_weights

JOBS = "/api/network/import-jobs/"
GRAPHS = "/api/network/graphs/"
MODEL = keras_file(sequential(dense("hidden", activation="relu"), dense("out")))
EVIL = keras_file(sequential(layer("Lambda")))
NOBODY = "00000000-0000-4000-8000-000000000000"


def send(client: httpx.Client, content: bytes = MODEL, name: str = "model.keras", **fields: str) -> httpx.Response:
    return client.post(JOBS, data=fields, files={"file": (name, content)})


def presign(client: httpx.Client, filename: str = "model.keras", **options: Any) -> dict[str, Any]:
    answer = client.post(f"{JOBS}presign-upload/", json={"filename": filename, **options})
    assert answer.status_code == 201, answer.text
    return answer.json()


def ended(client: httpx.Client, job_id: str) -> dict[str, Any]:
    def job() -> dict[str, Any] | None:
        answer = client.get(f"{JOBS}{job_id}/").json()
        return answer if answer["status"] in ENDED else None

    return wait_until(job, f"the end of import {job_id}")


def blobs(backend: Backend) -> list[str]:
    with backend.storage.container(Settings().imports_container) as container:
        return [str(name) for name in container.list_blob_names()]


def test_a_form_becomes_a_job_and_a_graph_payload(shared_backend: Backend) -> None:
    client = shared_backend.client()
    answer = send(client, graph_name="My net")
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert answer.headers["location"] == f"{JOBS}{job['id']}/"
    assert job["source_name"] == "model.keras" and job["status"] in ("queued", "processing", "succeeded")
    assert job["upload_size_bytes"] == len(MODEL)
    assert job["options"] == {"graph_name": "My net"} and job["graph"] is None
    done = ended(client, job["id"])
    assert done["status"] == "succeeded" and done["error"] == "" and done["graph"] is None, done["error"]
    payload = done["graph_payload"]
    assert payload["name"] == "My net" and payload["metadata"] == {"keras_model_name": "crafted"}
    assert [node["type"] for node in payload["nodes"]] == ["InputLayer", "Dense", "Dense"]
    for moment in ("created_at", "updated_at", "started_at", "finished_at"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", done[moment])
    assert set(done) == {
        *("id", "status", "source_name", "graph_payload", "graph", "error", "options", "upload_size_bytes"),
        *("weights", "weights_note"),
        *("created_at", "updated_at", "started_at", "finished_at"),
    }
    wait_until(lambda: not [name for name in blobs(shared_backend) if job["id"] in name], "the upload to go")


def test_an_upload_starts_its_import_by_itself(shared_backend: Backend) -> None:
    client = shared_backend.client()
    signed = presign(client)
    assert signed["headers"] == {"x-ms-blob-type": "BlockBlob"}
    queued = client.get(f"{JOBS}{signed['job_id']}/").json()
    assert (queued["status"], queued["graph_payload"], queued["started_at"]) == ("queued", None, None)
    assert upload(signed, MODEL).status_code == 201
    done = ended(client, signed["job_id"])
    assert done["status"] == "succeeded" and done["upload_size_bytes"] == len(MODEL), done["error"]
    assert httpx.get(signed["upload_url"], trust_env=False).status_code in (403, 404)


def test_start_and_event_and_start_again_read_once(shared_backend: Backend) -> None:
    client = shared_backend.client()
    signed = presign(client)
    start = f"{JOBS}{signed['job_id']}/start/"
    early = client.post(start)
    assert early.status_code == 400 and "upload" in early.json()["detail"]
    assert upload(signed, MODEL).status_code == 201
    answer = client.post(start)
    assert answer.status_code == 202 or "succeeded" in answer.text, answer.text
    done = ended(client, signed["job_id"])
    late = client.post(start)
    assert late.status_code == 400 and "already" in late.json()["detail"]
    assert client.get(f"{JOBS}{signed['job_id']}/").json() == done


def test_a_queued_import_is_cancelled_once_and_another_not(shared_backend: Backend) -> None:
    client = shared_backend.client()
    signed = presign(client)
    cancel = f"{JOBS}{signed['job_id']}/cancel/"
    first, second = client.post(cancel), client.post(cancel)
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json()["status"] == second.json()["status"] == "cancelled"
    upload(signed, MODEL)
    assert client.post(f"{JOBS}{signed['job_id']}/start/").status_code == 400
    wait_until(lambda: not [name for name in blobs(shared_backend) if signed["job_id"] in name], "the upload to go")

    job = ended(client, send(client).json()["id"])
    answer = client.post(f"{JOBS}{job['id']}/cancel/")
    assert answer.status_code == 400 and "succeeded" in answer.json()["detail"]


def test_create_graph_makes_one_graph_however_often_it_is_asked(shared_backend: Backend) -> None:
    client = shared_backend.client("maker")
    job = ended(client, send(client).json()["id"])
    path = f"{JOBS}{job['id']}/create-graph/"
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: client.post(path), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    [graph_id] = {answer.json()["id"] for answer in answers}
    assert [graph["id"] for graph in client.get(GRAPHS).json()] == [graph_id]
    graph = client.get(f"{GRAPHS}{graph_id}/").json()
    assert graph["nodes"] == answers[0].json()["nodes"] and graph["name"] == "crafted"
    assert client.get(f"{JOBS}{job['id']}/").json()["graph"]["id"] == graph_id
    assert client.get(f"{GRAPHS}{graph_id}/compile/").json()["output_shape"] == [[None, 2]]
    assert client.delete(f"{GRAPHS}{graph_id}/").status_code == 204
    assert client.get(f"{JOBS}{job['id']}/").json()["graph"] is None
    assert client.post(path).status_code == 201


def test_a_graph_is_made_only_of_what_was_read(shared_backend: Backend) -> None:
    client = shared_backend.client()
    signed = presign(client)
    path = f"{JOBS}{signed['job_id']}"
    assert client.post(f"{path}/create-graph/").status_code == 400
    client.post(f"{path}/cancel/")
    assert client.post(f"{path}/create-graph/").status_code == 400


@pytest.mark.parametrize(("value", "is_made"), [("Yes", True), ("on", True), ("1", True), ("0", False), ("", False)])
def test_auto_create_graph_makes_the_graph_with_the_job(shared_backend: Backend, value: str, is_made: bool) -> None:
    client = shared_backend.client("hedy")
    job = ended(client, send(client, auto_create_graph=value).json()["id"])
    assert job["status"] == "succeeded" and (job["graph"] is not None) == is_made
    assert job["options"] == ({"auto_create_graph": True} if is_made else {})
    if is_made:
        assert client.get(f"{GRAPHS}{job['graph']['id']}/").json() == job["graph"]
        assert client.post(f"{JOBS}{job['id']}/create-graph/").status_code == 200


@pytest.mark.parametrize(
    ("content", "name", "told"),
    [
        (EVIL, "model.keras", "carries Python code"),
        (with_weights(external_link), "model.keras", "external link"),
        (MODEL[:300], "model.keras", "cut off"),
        (b"hello", "model.h5", "no HDF5"),
        (keras_file(sequential(layer("Gizmo"))), "model.zip", "Gizmo"),
    ],
)
def test_a_file_that_may_not_be_read_fails_its_job_with_a_sentence(
    shared_backend: Backend, content: bytes, name: str, told: str
) -> None:
    client = shared_backend.client()
    job = ended(client, send(client, content, name).json()["id"])
    assert job["status"] == "failed" and told in job["error"] and job["graph_payload"] is None
    assert job["error"].startswith("Import failed: ") and "/" not in job["error"], job["error"]
    assert client.post(f"{JOBS}{job['id']}/create-graph/").status_code == 400
    wait_until(lambda: not [blob for blob in blobs(shared_backend) if job["id"] in blob], "the upload to go")


def test_wrong_names_and_options_make_no_job(shared_backend: Backend) -> None:
    client = shared_backend.client("nora")
    assert "file" in send(client, name="model.exe").json()
    assert "file" in send(client, b"").json()
    assert "file" in client.post(JOBS, files={"other": ("m.keras", MODEL)}).json()
    assert "graph_name" in send(client, graph_name="x" * 121).json()
    assert (
        "auto_create_graph"
        in client.post(f"{JOBS}presign-upload/", json={"filename": "m.keras", "auto_create_graph": {}}).json()
    )
    for body in ({}, {"filename": "model.csv"}, {"filename": 3}):
        answer = client.post(f"{JOBS}presign-upload/", json=body)
        assert answer.status_code == 400 and "filename" in answer.json()
    assert client.post(JOBS, json={}).status_code == 415
    assert client.get(JOBS).json() == []


def test_an_import_is_nobody_elses(shared_backend: Backend) -> None:
    owner, other, anonymous = (shared_backend.client(user) for user in ("ada", "eve", "ada"))
    anonymous.headers.pop("authorization")
    job = ended(owner, send(owner).json()["id"])
    calls = [("GET", ""), ("POST", "start/"), ("POST", "cancel/"), ("POST", "create-graph/")]
    for method, last in calls:
        assert other.request(method, f"{JOBS}{job['id']}/{last}").status_code == 404
        assert owner.request(method, f"{JOBS}{NOBODY}/{last}").status_code == 404
        assert anonymous.request(method, f"{JOBS}{job['id']}/{last}").status_code == 401
    assert job["id"] not in [other_job["id"] for other_job in other.get(JOBS).json()]
    assert owner.get(JOBS).json()[0]["id"] == job["id"]


def test_fifty_requests_at_once_never_pass_the_quota(shared_backend: Backend) -> None:
    client = shared_backend.client("quentin")
    with ThreadPoolExecutor(50) as threads:
        answers = list(
            threads.map(lambda _: client.post(f"{JOBS}presign-upload/", json={"filename": "m.h5"}), range(50))
        )
    assert sorted({answer.status_code for answer in answers}) == [201, 429]
    accepted = [answer.json()["job_id"] for answer in answers if answer.status_code == 201]
    assert len(accepted) == 3 == len(client.get(JOBS).json())
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert "at most 3" in refused.json()["detail"]
    assert send(client).status_code == 429

    # Fifty cancels of three jobs give back three places, not more.
    with ThreadPoolExecutor(50) as threads:
        cancels = list(threads.map(lambda n: client.post(f"{JOBS}{accepted[n % 3]}/cancel/"), range(50)))
    assert sorted(answer.status_code for answer in cancels) == [200] * 47 + [202] * 3
    again = [client.post(f"{JOBS}presign-upload/", json={"filename": "m.h5"}).status_code for _ in range(4)]
    assert again == [201, 201, 201, 429]
    assert shared_backend.client("rita").post(f"{JOBS}presign-upload/", json={"filename": "m.h5"}).status_code == 201


def test_ended_imports_give_their_places_back(shared_backend: Backend) -> None:
    client = shared_backend.client("sally")
    for content in [MODEL, EVIL] * 3:
        answer = send(client, content)
        assert answer.status_code == 202, answer.text
        ended(client, answer.json()["id"])


def test_uploaded_bytes_are_limited_together(backend: Callable[..., Backend]) -> None:
    client = backend(IMPORT_JOB_PENDING_STORAGE_LIMIT_MB="1", IMPORT_JOB_MAX_PENDING_PER_USER="50").client()
    large = bytes(700_000)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: send(client, large, "m.h5"), range(8)))
    assert {answer.status_code for answer in answers} <= {202, 429}
    assert send(client, bytes(1_100_000), "m.h5").status_code == 429
    # What comes by an upload URL is counted when it is there.
    signed = presign(client, "m.h5")
    upload(signed, bytes(1_100_000))
    job = ended(client, signed["job_id"])
    assert job["status"] == "failed" and "1 MiB" in job["error"]
    for answer in answers:
        if answer.status_code == 202:
            ended(client, answer.json()["id"])
    assert send(client, large, "m.h5").status_code == 202


def test_import_model_shows_or_stores_the_graph_at_once(shared_backend: Backend) -> None:
    client = shared_backend.client("tess")
    path = f"{GRAPHS}import-model/"

    def post(content: bytes, filename: str = "m.keras", **fields: str) -> httpx.Response:
        return client.post(path, data=fields, files={"file": (filename, content)})

    shown = post(MODEL)
    assert shown.status_code == 200 and "id" not in shown.json() and client.get(GRAPHS).json() == []
    assert shown.json()["metadata"] == {"keras_model_name": "crafted"}
    stored = post(MODEL, name="Mine", create="true")
    assert stored.status_code == 201 and stored.json()["name"] == "Mine"
    assert stored.headers["location"] == f"{GRAPHS}{stored.json()['id']}/"
    assert [graph["id"] for graph in client.get(GRAPHS).json()] == [stored.json()["id"]]
    for content, name, key, told in [
        (EVIL, "m.keras", "file", "carries Python code"),
        (MODEL, "m.exe", "file", ".keras"),
        (keras_file({"class_name": "Mine", "config": {}}), "m.keras", "model", "Sequential"),
    ]:
        answer = post(content, name)
        assert answer.status_code == 400 and told in answer.json()[key][0], answer.text
