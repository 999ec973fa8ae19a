"""Predictions of a finished training over HTTP: a request at a time, and large files through the batch door."""

from __future__ import annotations

import csv
import io
from typing import Any

import httpx
import pytest

from tests.harness import ENDED, Backend, csv_bytes, presign, two_classes, upload, wait_for_end, wait_until

JOBS = "/api/network/training-jobs/"


@pytest.fixture(scope="module")
def job(shared_backend: Backend) -> str:
    """The path of a training that has succeeded, of the user ada: two classes, no and yes, by the columns a and b."""
    client = shared_backend.client()
    signed = presign(client)
    table = two_classes().replace(b",0\n", b",no\n").replace(b",1\n", b",yes\n")
    assert upload(signed, table).status_code == 201
    ended = wait_for_end(client, signed["job_id"])
    assert ended["status"] == "succeeded", ended["error"]
    return f"{JOBS}{ended['id']}/"


def batch(client: httpx.Client, job: str) -> tuple[str, dict[str, Any]]:
    """The path of a new batch, and where to upload its rows."""
    made = client.post(f"{job}batch-predictions/")
    assert made.status_code == 201, made.text
    assert made.json().keys() == {"batch_id", "upload_url", "headers", "expires_at"}
    assert made.headers["location"] == f"{job}batch-predictions/{made.json()['batch_id']}/"
    return made.headers["location"], made.json()


def ended(client: httpx.Client, path: str) -> dict[str, Any]:
    """The batch once it has ended; its progress must not have fallen on the way."""
    seen: list[float] = []

    def end() -> dict[str, Any] | None:
        found = client.get(path).raise_for_status().json()
        seen.append(found["progress"])
        return found if found["status"] in ENDED else None

    found = wait_until(end, "the end of the batch")
    assert seen == sorted(seen)
    return found


def is_gone(backend: Backend, batch_id: str) -> bool:
    """Whether nothing of the batch's upload is left."""
    with backend.storage.uploads() as uploads:
        return not any(batch_id in name for name in uploads.list_blob_names())


def test_predictions_follow_the_columns_by_position_or_by_name(shared_backend: Backend, job: str) -> None:
    client, path = shared_backend.client(), f"{job}predict/"
    by_position = client.post(path, json={"instances": [[1, -1], ["-1.0", "1"]]})
    by_name = client.post(path, json={"records": [{"b": -1, "a": 1, "c": "extra"}, {"a": -1, "b": 1}]})
    assert by_position.status_code == by_name.status_code == 200, by_position.text + by_name.text
    assert by_position.json() == by_name.json()
    answer = by_position.json()
    assert answer["labels"] == ["no" if chance <= 0.5 else "yes" for [chance] in answer["predictions"]]
    assert [named["yes"] for named in answer["probabilities"]] == [chance for [chance] in answer["predictions"]]
    table = "label;a;b\r\n;1,0;-1,0\r\n\r\n;-1,0;1,0\r\n".encode("utf-8-sig")
    assert client.post(path, files={"file": ("rows.csv", table)}).json() == answer
    for content, told in [(b"a\n1\n", "b"), (b"a,b\n", "no rows"), (b"a,b\n1\n", "row 2"), (b"a,b\nx,1\n", "x")]:
        refused = client.post(path, files={"file": ("rows.csv", content)})
        assert refused.status_code == 400 and told in refused.json()["detail"], refused.text
    for wrong in ({"instances": []}, {"instances": [[1]]}, {"instances": [["x", 1]]}, {"records": [{"a": 1}]}, {}):
        refused = client.post(path, json=wrong)
        assert refused.status_code == 400 and refused.json()["code"] == "bad_request", refused.text


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b'{"instances": [[1, 2]', "application/json", 400, "malformed_body"),
        (b"[[1, 2]]", "application/json", 400, "malformed_body"),
        (b'{"instances": [[1, NaN]]}', "application/json", 400, "malformed_body"),
        (b"", "application/json", 400, "malformed_body"),
        (b'{"instances": [[1, 2]]}', "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
    ],
)
def test_a_body_that_cannot_be_read_is_told_as_everywhere(
    shared_backend: Backend, job: str, body: bytes, kind: str, status: int, code: str
) -> None:
    refused = shared_backend.client().post(f"{job}predict/", content=body, headers={"Content-Type": kind})
    assert (refused.status_code, refused.json()["code"]) == (status, code)


def test_an_uploaded_file_comes_back_with_a_prediction_beside_each_row(shared_backend: Backend, job: str) -> None:
    client = shared_backend.client()
    path, signed = batch(client, job)
    assert client.get(path).json() | {"created_at": "", "updated_at": ""} == {
        "batch_id": signed["batch_id"],
        "job": job.split("/")[-2],
        "status": "queued",
        "progress": 0.0,
        "rows": 0,
        "error": "",
        "url": None,
        "created_at": "",
        "updated_at": "",
    }
    refused = client.post(f"{path}start/")
    assert refused.status_code == 400 and refused.json()["code"] == "nothing_uploaded"
    rows = [[at, at % 7 - 3, round(at * 0.37 % 5 - 2, 2)] for at in range(3000)]
    # Its event alone leads to the end.
    assert upload(signed, csv_bytes(["id", "a", "b"], rows)).status_code == 201
    done = ended(client, path)
    assert (done["status"], done["progress"], done["rows"], done["error"]) == ("succeeded", 1.0, 3000, "")
    download = httpx.get(done["url"], trust_env=False)
    name = f"job_{job.split('/')[-2]}_predictions.csv"
    assert download.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert download.headers["content-type"].startswith("text/csv")
    header, *found = csv.reader(io.StringIO(download.text, newline=""))
    assert header == ["id", "a", "b", "prediction", "probability_no", "probability_yes"]
    assert [row[:3] for row in found] == [[str(cell) for cell in row] for row in rows]
    asked = client.post(f"{job}predict/", json={"instances": [row[1:] for row in rows]}).json()
    assert [row[3] for row in found] == asked["labels"]
    wanted = [named[name] for named in asked["probabilities"] for name in ("no", "yes")]
    assert [float(cell) for row in found for cell in row[4:]] == pytest.approx(wanted, abs=1e-6)
    assert is_gone(shared_backend, signed["batch_id"])
    assert client.post(f"{path}start/").status_code == 400


def test_a_batch_is_started_once_by_event_and_starts(shared_backend: Backend, job: str) -> None:
    client = shared_backend.client()
    path, signed = batch(client, job)
    assert upload(signed, csv_bytes(["a", "b"], [[1, 2]] * 500)).status_code == 201
    answers = [client.post(f"{path}start/") for _ in range(3)]
    # Such a small file may have come to its end meanwhile.
    assert answers[0].status_code == 202 and {answer.status_code for answer in answers} <= {202, 400}
    assert ended(client, path)["rows"] == 500


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"a,b\n1,2\nx,4\n", "Row 3, column 'a': 'x' is not a number"),
        (b"a,c\n1,2\n", "no column 'b'"),
        (b"a,b\n", "a header and no rows"),
        (b"PK\x03\x04 not a table", "zip or Excel"),
    ],
)
def test_a_file_that_cannot_be_predicted_fails_with_a_sentence_and_leaves_nothing(
    shared_backend: Backend, job: str, content: bytes, told: str
) -> None:
    client = shared_backend.client()
    path, signed = batch(client, job)
    assert upload(signed, content).status_code == 201
    done = ended(client, path)
    assert done["status"] == "failed" and done["error"].startswith("Prediction failed: ") and told in done["error"]
    assert "/" not in done["error"] and done["url"] is None
    wait_until(lambda: is_gone(shared_backend, signed["batch_id"]), "the upload to go")
    with shared_backend.storage.container("maid-artifacts") as artifacts:
        # What was staged goes beside the upload, in no promised order.
        left = lambda: any(signed["batch_id"] in name for name in artifacts.list_blob_names())  # noqa: E731
        wait_until(lambda: not left(), "the staged output to go")


def test_a_queued_batch_is_cancelled_at_once_and_stays_so(shared_backend: Backend, job: str) -> None:
    client = shared_backend.client()
    path, signed = batch(client, job)
    first, second = client.post(f"{path}cancel/"), client.post(f"{path}cancel/")
    assert (first.status_code, second.status_code) == (202, 200) and second.json()["status"] == "cancelled"
    upload(signed, csv_bytes(["a", "b"], [[1, 2]]))
    assert client.post(f"{path}start/").status_code == 400
    wait_until(lambda: is_gone(shared_backend, signed["batch_id"]), "the upload to go")


def test_batches_are_listed_newest_first_with_their_training_alone(shared_backend: Backend, job: str) -> None:
    client = shared_backend.client()
    made = [batch(client, job)[1]["batch_id"] for _ in range(3)]
    listed = client.get(f"{job}batch-predictions/").json()
    assert [found["batch_id"] for found in listed[:3]] == made[::-1]
    other = presign(client)["job_id"]
    assert client.get(f"{JOBS}{other}/batch-predictions/").json() == []
    assert client.get(f"{JOBS}{other}/batch-predictions/{made[0]}/").status_code == 404


def test_a_batch_is_nobody_elses_and_needs_a_training_that_has_succeeded(shared_backend: Backend, job: str) -> None:
    client, other = shared_backend.client(), shared_backend.client("eve")
    path, _ = batch(client, job)
    calls = [("GET", path), ("POST", f"{path}start/"), ("POST", f"{path}cancel/")]
    for method, where in [*calls, ("GET", f"{job}batch-predictions/"), ("POST", f"{job}batch-predictions/")]:
        assert other.request(method, where).status_code == 404, where
    queued = presign(client)["job_id"]
    refused = client.post(f"{JOBS}{queued}/batch-predictions/")
    assert refused.status_code == 400 and refused.json()["code"] == "wrong_state"
