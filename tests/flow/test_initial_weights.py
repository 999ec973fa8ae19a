"""An import as the starting point of a training, over HTTP on a real host."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.base.blobs import delete_blob, write_blob
from core.base.clients import Storage as Clients
from core.base.clients import connect
from core.base.clock import newest_first_id
from core.base.errors import BadRequest
from core.base.settings import Settings
from core.jobs.job import Job
from core.training.initial_weights import discard_weights, fetch_weights
from core.training.work import WorkFolder
from tests.harness import (
    ENDED,
    Backend,
    Storage,
    two_class_training,
    two_classes,
    upload,
    wait_for_end,
    wait_until,
)
from tests.unit.importing.corpus import dense, keras_file, layer, metadata_pb, saved_model, sequential
from tests.unit.keras_worker.transfers import arrays_of, changed

IMPORTS, GRAPHS, JOBS = (f"/api/network/{name}/" for name in ("import-jobs", "graphs", "training-jobs"))


def imported(client: httpx.Client, content: bytes, name: str, **fields: str) -> dict[str, Any]:
    made = client.post(IMPORTS, data=fields, files={"file": (name, content)})
    assert made.status_code == 202, made.text

    def ended() -> dict[str, Any] | None:
        job = client.get(f"{IMPORTS}{made.json()['id']}/").json()
        return job if job["status"] in ENDED else None

    return wait_until(ended, "the end of the import")


def ask(client: httpx.Client, graph_id: str, import_id: Any) -> httpx.Response:
    """A training of the graph that begins with the import's weights: the answer of presign-upload."""
    params = two_class_training(initial_weights=import_id, learning_rate=0.05)
    return client.post(f"{GRAPHS}{graph_id}/presign-upload/", json=params)


def blobs(backend: Backend, beginning: str) -> list[str]:
    with backend.storage.container(Settings().azure_container) as container:
        return [str(name) for name in container.list_blob_names() if beginning in str(name)]


def delete(backend: Backend, name: str) -> None:
    with backend.storage.container(Settings().azure_container) as container:
        container.delete_blob(name)


def with_frozen_base(graph: dict[str, Any]) -> dict[str, Any]:
    """The imported graph with all its layers frozen and another head."""
    for node in graph["nodes"]:
        if node["label"] == "top":
            node |= {"id": "head", "label": "head", "params": {"units": 1, "activation": "sigmoid"}}
        else:
            node["params"]["trainable"] = False
    [last] = [edge for edge in graph["edges"] if edge["target"].endswith("-5")]
    last["target"] = "head"
    return graph


@pytest.mark.parametrize("file", ["base.keras", "base.h5"])
def test_an_imported_base_stays_as_it_was_and_a_new_head_learns(
    shared_backend: Backend, weighted_models: Path, tmp_path: Path, file: str
) -> None:
    client = shared_backend.client("hanna")
    source = imported(client, (weighted_models / file).read_bytes(), file, auto_create_graph="yes")
    assert source["weights"] == {"layers": 4, "parameters": 48} and source["weights_note"] == ""
    graph = with_frozen_base(source["graph"])
    assert client.put(f"{GRAPHS}{graph['id']}/", json=graph).status_code == 200
    signed = ask(client, graph["id"], source["id"].upper())
    assert signed.status_code == 201, signed.text
    # Whatever becomes of the import now, the training has what it was made with.
    [weights] = blobs(shared_backend, f"{source['id']}/weights.bin")
    delete(shared_backend, weights)
    assert upload(signed.json(), two_classes()).status_code == 201
    path, seen = f"{JOBS}{signed.json()['job_id']}/", []

    def ended() -> bool:
        seen.append(client.get(path).json())
        return seen[-1]["status"] in ENDED

    wait_until(ended, "the end of the training")
    job = seen[-1]
    assert job["status"] == "succeeded", job["error"]
    assert job["params"]["initial_weights"] == source["id"]
    report = job["result"]["initial_weights"]
    assert report == {
        "taken": [
            {"layer": "scale", "parameters": 5},
            {"layer": "hidden", "parameters": 12},
            {"layer": "batch", "parameters": 16},
        ],
        "not_taken": [
            {"layer": "head", "reason": "the import has no such layer"},
            {"layer": "top", "reason": "the graph has no such layer"},
        ],
        "parameters_taken": 33,
        "parameters_total": 38,
    }
    assert report in [job["result"].get("initial_weights") for job in seen if job["status"] == "running"]
    assert "33 of 38" in job["result"]["notes"][0]

    url = client.get(f"{path}artifact/").json()["url"]
    (tmp_path / "model.keras").write_bytes(httpx.get(url, trust_env=False).content)
    before, after = arrays_of(weighted_models / "base.keras"), arrays_of(tmp_path / "model.keras")
    assert after.pop("dense_1/vars/0").shape == (4, 1) and after.pop("dense_1/vars/1") != 0
    assert changed({name: before[name] for name in after}, after) == set()
    assert not blobs(shared_backend, "initial_weights.bin")


def test_what_cannot_be_begun_with_is_told_under_its_field_before_a_job_is_made(
    shared_backend: Backend, weighted_models: Path
) -> None:
    client, other = shared_backend.client("irene"), shared_backend.client("jon")
    content = (weighted_models / "base.keras").read_bytes()
    good = imported(client, content, "m.keras", auto_create_graph="yes")
    metadata = json.dumps({"class_name": "Sequential", "model_config": sequential(dense())})
    waiting = client.post(f"{IMPORTS}presign-upload/", json={"filename": "m.keras"}).json()["job_id"]
    cases = {
        "not-an-id": "Must be the id of an import.",
        "00000000-0000-4000-8000-000000000000": "no import with that id",
        imported(other, content, "m.keras")["id"]: "no import with that id",
        waiting: "wait until it has succeeded",
        imported(client, keras_file(sequential(layer("Lambda"))), "m.keras")["id"]: "has failed",
        imported(client, keras_file(sequential(dense())), "m.keras")["id"]: "No weights were found",
        imported(client, saved_model(metadata_pb(("root", metadata))), "m.zip")["id"]: "SavedModel are not read",
    }
    for asked, told in cases.items():
        answer = ask(client, good["graph"]["id"], asked)
        assert answer.status_code == 400, answer.text
        assert answer.json().keys() == {"initial_weights"}, answer.text
        assert told in answer.json()["initial_weights"][0], answer.text
    delete(shared_backend, blobs(shared_backend, f"{good['id']}/weights.bin")[0])
    answer = ask(client, good["graph"]["id"], good["id"])
    assert answer.status_code == 400 and "import the model again" in answer.json()["initial_weights"][0]
    assert client.get(JOBS).json() == []


def test_a_training_cancelled_before_it_began_lets_its_copy_of_the_weights_go(
    shared_backend: Backend, weighted_models: Path
) -> None:
    client = shared_backend.client("karl")
    content = (weighted_models / "base.keras").read_bytes()
    source = imported(client, content, "m.keras", auto_create_graph="yes")
    job_id = ask(client, source["graph"]["id"], source["id"]).json()["job_id"]
    assert len(blobs(shared_backend, f"{job_id}/initial_weights.bin")) == 1
    assert client.post(f"{JOBS}{job_id}/cancel/").status_code == 202
    assert blobs(shared_backend, f"{job_id}/initial_weights.bin") == []
    assert len(blobs(shared_backend, f"{source['id']}/weights.bin")) == 1


def test_an_import_of_which_nothing_fits_fails_the_training_with_a_sentence(
    shared_backend: Backend, weighted_models: Path
) -> None:
    client = shared_backend.client("lena")
    source = imported(client, (weighted_models / "base.keras").read_bytes(), "m.keras")
    drawn = {
        "name": "other",
        "nodes": [
            {"id": "x", "type": "Input", "params": {"shape": "(2,)"}},
            {"id": "d", "type": "Dense", "label": "hidden", "params": {"units": 1, "activation": "sigmoid"}},
        ],
        "edges": [{"id": "e", "source": "x", "target": "d"}],
    }
    graph = client.post(GRAPHS, json=drawn).json()
    signed = ask(client, graph["id"], source["id"]).json()
    upload(signed, two_classes())
    job = wait_for_end(client, signed["job_id"])
    assert job["status"] == "failed" and "None of the import's weights fit" in job["error"]
    assert "(2, 1) here and (2, 4) in the import" in job["error"]


@pytest.fixture
async def clients(storage: Storage, tmp_path: Path) -> AsyncIterator[Clients]:
    connected = connect(storage.settings().model_copy(update={"work_dir": tmp_path}))
    yield connected
    await connected.close()


async def test_another_instance_fetches_the_weights_and_misses_them_with_a_sentence(
    clients: Clients, tmp_path: Path
) -> None:
    job = Job("owner", newest_first_id(), "graph", {"initial_weights": "an import"}, "", "")
    folder = WorkFolder(tmp_path, job.id)
    folder.path.mkdir(parents=True)
    with pytest.raises(BadRequest, match="no longer there"):
        await fetch_weights(clients, job, folder)
    await write_blob(clients.artifacts, f"{job.folder}/initial_weights.bin", b"weights", "application/octet-stream")
    await fetch_weights(clients, job, folder)
    assert folder.initial_weights.read_bytes() == b"weights"
    await delete_blob(clients.artifacts, f"{job.folder}/initial_weights.bin")
    # What is there is not fetched again; a job without such a parameter has nothing to fetch or let go.
    await fetch_weights(clients, job, folder)
    await discard_weights(clients, job)
    plain = replace(job, params={})
    await fetch_weights(clients, plain, WorkFolder(tmp_path, "nowhere"))
    await discard_weights(clients, plain)
