"""The main job, over HTTP on a real host: a CSV uploaded to Blob Storage becomes a trained model."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import httpx
import pytest

from tests.harness import (
    Backend,
    classifier,
    is_running,
    presign,
    two_class_training,
    two_classes,
    upload,
    wait_for_end,
    wait_until,
)


def start(client: httpx.Client, job_id: str) -> httpx.Response:
    return client.post(f"/api/network/training-jobs/{job_id}/start/")


def trained(client: httpx.Client, **changes: Any) -> dict[str, Any]:
    signed = presign(client, **changes)
    assert upload(signed, two_classes()).status_code == 201
    job = wait_for_end(client, signed["job_id"])
    assert job["status"] == "succeeded", job["error"]
    return job


def test_an_upload_starts_its_training_by_itself_and_ends_in_a_model(shared_backend: Backend) -> None:
    client = shared_backend.client()
    job = trained(client, save_best_model=True, save_training_logs=True)
    result = job["result"]
    assert job["progress"] == 1.0 and job["error"] == ""
    assert len(result["history"]["loss"]) == len(result["history"]["val_loss"]) == 3
    assert result["evaluation"].keys() >= {"loss", "binary_accuracy"}
    assert result["best_model_artifact"] and result["training_log_artifact"]

    for kind, name, magic in [
        ("final", "model.keras", b"PK"),
        ("best", "best_model.keras", b"PK"),
        ("log", "training_log.csv", b"epoch"),
    ]:
        answer = client.get(f"/api/network/training-jobs/{job['id']}/artifact/", params={"type": kind})
        download = httpx.get(answer.json()["url"], trust_env=False)
        assert download.headers["content-disposition"] == f'attachment; filename="job_{job["id"]}_{name}"'
        assert download.content.startswith(magic)

    url = client.get(f"/api/network/training-jobs/{job['id']}/artifact/").json()["url"]
    model = zipfile.ZipFile(io.BytesIO(httpx.get(url, trust_env=False).content))
    assert "config.json" in model.namelist()


def test_the_same_job_again_gives_the_same_numbers(shared_backend: Backend) -> None:
    client = shared_backend.client()
    first, second = trained(client), trained(client)
    assert first["result"]["history"] == second["result"]["history"]
    assert first["result"]["evaluation"] == second["result"]["evaluation"]


def test_start_before_the_upload_says_that_nothing_is_there(shared_backend: Backend) -> None:
    client = shared_backend.client()
    signed = presign(client)
    answer = start(client, signed["job_id"])
    assert answer.status_code == 400 and "upload" in answer.json()["detail"]
    assert client.get(f"/api/network/training-jobs/{signed['job_id']}/").json()["status"] == "queued"


def test_start_and_event_and_start_again_run_once(shared_backend: Backend) -> None:
    client = shared_backend.client()
    signed = presign(client, epochs=30)
    assert upload(signed, two_classes()).status_code == 201
    answers = [start(client, signed["job_id"]) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 202], [a.text for a in answers]
    assert all(answer.json()["id"] == signed["job_id"] for answer in answers)
    assert wait_for_end(client, signed["job_id"])["status"] == "succeeded"
    answer = start(client, signed["job_id"])
    assert answer.status_code == 400 and "already" in answer.json()["detail"]


def test_an_upload_url_takes_one_file_and_shows_none(shared_backend: Backend) -> None:
    signed = presign(shared_backend.client())
    assert signed["headers"] == {"x-ms-blob-type": "BlockBlob"} and signed["expires_at"].endswith("Z")
    assert upload(signed, two_classes()).status_code == 201
    assert upload(signed, two_classes(seed=8)).status_code == 403
    assert httpx.get(signed["upload_url"], trust_env=False).status_code == 403


def test_a_job_is_nobody_elses(shared_backend: Backend) -> None:
    owner, other, anonymous = (
        shared_backend.client("ada"),
        shared_backend.client("eve"),
        shared_backend.client(token=""),
    )
    signed = presign(owner)
    job = f"/api/network/training-jobs/{signed['job_id']}"
    graph_id = owner.get(f"{job}/").json()["graph"]
    calls = [
        ("GET", f"{job}/"),
        ("POST", f"{job}/start/"),
        ("POST", f"{job}/cancel/"),
        ("POST", f"{job}/predict/"),
        ("GET", f"{job}/artifact/"),
        ("GET", f"/api/network/graphs/{graph_id}/"),
        ("POST", f"/api/network/graphs/{graph_id}/presign-upload/"),
    ]
    for method, path in calls:
        assert other.request(method, path, json={}).status_code == 404, path
        refused = anonymous.request(method, path, json={})
        assert refused.status_code == 401 and refused.headers["www-authenticate"] == 'Bearer realm="api"'
    assert signed["job_id"] not in [job["id"] for job in other.get("/api/network/training-jobs/").json()]
    assert owner.get("/api/network/training-jobs/").json()[0]["id"] == signed["job_id"]


def test_a_queued_job_is_cancelled_at_once_and_stays_so(shared_backend: Backend) -> None:
    client = shared_backend.client()
    signed = presign(client)
    cancel = f"/api/network/training-jobs/{signed['job_id']}/cancel/"
    first, second = client.post(cancel), client.post(cancel)
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json()["status"] == "cancelled" and first.json()["result"]["history"] == {}
    upload(signed, two_classes())
    assert start(client, signed["job_id"]).status_code == 400


def test_a_job_whose_dataset_is_being_read_is_cancelled(shared_backend: Backend) -> None:
    client = shared_backend.client()
    signed = presign(client)
    upload(signed, two_classes(200_000))
    path = f"/api/network/training-jobs/{signed['job_id']}"
    wait_until(lambda: "stage" in client.get(f"{path}/").json()["result"], "the dataset to be read")
    assert client.post(f"{path}/cancel/").status_code == 202
    job = wait_for_end(client, signed["job_id"])
    assert (job["status"], job["error"]) == ("cancelled", "")


def test_a_running_job_is_cancelled_with_its_partial_history(shared_backend: Backend) -> None:
    client = shared_backend.client()
    signed = presign(client, epochs=10_000, batch_size=1)
    upload(signed, two_classes())
    path = f"/api/network/training-jobs/{signed['job_id']}"
    wait_until(lambda: client.get(f"{path}/").json()["result"].get("live"), "the first epoch")
    assert client.post(f"{path}/cancel/").status_code == 202
    job = wait_for_end(client, signed["job_id"])
    assert job["status"] == "cancelled" and job["artifact_path"] == ""
    assert 0 < len(job["result"]["history"]["loss"]) < 10_000 and job["result"]["evaluation"] is None
    assert client.get(f"{path}/artifact/").status_code == 404


def test_live_values_are_final_and_progress_never_falls(shared_backend: Backend) -> None:
    client = shared_backend.client()
    signed = presign(client, epochs=400, batch_size=1)
    upload(signed, two_classes())
    seen: list[dict[str, Any]] = []

    def ended() -> bool:
        seen.append(client.get(f"/api/network/training-jobs/{signed['job_id']}/").json())
        return seen[-1]["status"] not in ("queued", "running")

    wait_until(ended, "the end of the training")
    assert seen[-1]["status"] == "succeeded", seen[-1]["error"]
    progress = [job["progress"] for job in seen]
    assert progress == sorted(progress)
    history = seen[-1]["result"]["history"]["loss"]
    live = [job["result"]["live"] for job in seen if "live" in job["result"]]
    assert live and all(value["loss"] == history[value["epoch"] - 1] for value in live)


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"PK\x03\x04 not a table", "zip or Excel"), (b"", "empty"), (b"a,b\0\0,label\n", "binary")],
)
def test_what_is_no_csv_fails_its_job_and_is_deleted(shared_backend: Backend, content: bytes, told: str) -> None:
    client = shared_backend.client()
    signed = presign(client)
    assert upload(signed, content).status_code == 201
    job = wait_for_end(client, signed["job_id"])
    assert job["status"] == "failed" and told in job["error"]
    with shared_backend.storage.uploads() as uploads:
        wait_until(lambda: not uploads.get_blob_client(job["dataset_path"]).exists(), "the blob to go")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"a,label\n1,0\n2,1\n", "b"),
        (b"a,b,label\n", "row"),
        (b"a,b,label\n" + b"1,2,0\n3,4,1\n" * 20 + b"oops,2,1\n", "oops"),
    ],
)
def test_a_problem_in_the_table_fails_its_job_with_a_sentence(
    shared_backend: Backend, content: bytes, told: str
) -> None:
    client = shared_backend.client()
    signed = presign(client)
    assert upload(signed, content).status_code == 201
    job = wait_for_end(client, signed["job_id"])
    assert job["status"] == "failed" and told in job["error"]
    assert "Traceback" not in job["error"] and "/" not in job["error"], job["error"]


def test_a_file_over_the_limit_fails_its_job(backend: Any) -> None:
    limited: Backend = backend(MAX_PRESIGNED_UPLOAD_SIZE="1000")
    client = limited.client()
    signed = presign(client)
    upload(signed, two_classes(500))
    job = wait_for_end(client, signed["job_id"])
    assert job["status"] == "failed" and "1,000" in job["error"]
    assert start(client, signed["job_id"]).status_code == 400


def test_forked_and_spawned_children_train_alike(backend: Any, child_start: str) -> None:
    client = backend(CHILD_START=child_start).client()
    job = trained(client)
    assert len(job["result"]["history"]["loss"]) == 3


def test_a_parameter_problem_is_told_under_its_field_before_a_job_is_made(shared_backend: Backend) -> None:
    client = shared_backend.client("grace")
    graph = client.post("/api/network/graphs/", json=classifier()).json()
    answer = client.post(
        f"/api/network/graphs/{graph['id']}/presign-upload/",
        json=two_class_training(epochs="0.5", loss="luck", x_columns=[]),
    )
    assert answer.status_code == 400 and answer.json().keys() == {"epochs", "x_columns"}
    assert client.get("/api/network/training-jobs/").json() == []


def test_stopping_the_host_leaves_no_process(backend: Any) -> None:
    running: Backend = backend()
    trained(running.client())
    pid = running.pid
    running.stop()
    assert not is_running(pid)
