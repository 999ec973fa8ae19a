"""Every operation, asked by a rival of its owner, by nobody and by a mere user: who gets in, and who learns what."""

from __future__ import annotations

import re
import uuid
from typing import Any

import httpx
import pytest

from tests.access import ACCESS, FORM, Admin, Lists, Makes, Open, Own
from tests.harness import (
    Backend,
    classifier,
    presign,
    two_classes,
    upload,
    wait_for_end,
    wait_until,
)

SEQUENTIAL = b'{"class_name": "Sequential", "config": {"layers": []}}'
Call = tuple[tuple[str, str], Any]


def calls(*kinds: type) -> list[Any]:
    return [
        pytest.param(operation, access, id=f"{operation[0]} {operation[1].removeprefix('api/network/')}")
        for operation, access in ACCESS.items()
        if isinstance(access, kinds)
    ]


def ask(client: httpx.Client, operation: tuple[str, str], sent: Any, *named: str) -> httpx.Response:
    """The call with `named` for the ids in its path, or with ids that nothing has."""
    method, path = operation
    ids = iter(named)
    path = "/" + re.sub(r"\{\w+\}", lambda _: next(ids, str(uuid.uuid4())), path) + "/"
    if sent is FORM:
        return client.request(method, path, files=sent)
    return client.request(method, path, json=sent) if sent is not None else client.request(method, path)


@pytest.fixture(scope="module")
def things(shared_backend: Backend) -> dict[str, str]:
    """One of each kind, Olga's: a graph, its snapshot, a training that has succeeded, a batch of predictions of it, an
    import with its graph."""
    olga = shared_backend.client("olga")
    signed = presign(olga, classifier(), save_best_model=True)
    upload(signed, two_classes())
    olga.post(f"/api/network/training-jobs/{signed['job_id']}/start/")
    job = wait_for_end(olga, signed["job_id"])
    assert job["status"] == "succeeded", job["error"]
    model = httpx.get(olga.get(f"/api/network/training-jobs/{job['id']}/artifact/").json()["url"], trust_env=False)
    made = olga.post("/api/network/import-jobs/", files={"file": ("model.keras", model.content)})
    path = f"/api/network/import-jobs/{made.json()['id']}/"
    wait_until(lambda: olga.get(path).json()["status"] == "succeeded", "the import")
    assert olga.post(f"{path}create-graph/").status_code == 201
    snapshot = olga.post("/api/network/snapshots/", json={"graph": job["graph"], "label": "Olga's"})
    batch = olga.post(f"/api/network/training-jobs/{job['id']}/batch-predictions/").json()["batch_id"]
    others = {"snapshot": snapshot.json()["id"], "import": made.json()["id"]}
    return {"graph": job["graph"], "job": job["id"], "batch": batch, **others}


def ids_of(what: str, things: dict[str, str]) -> list[str]:
    """The ids that a path to Olga's thing of that kind has in it."""
    return [things["job"], things["batch"]] if what == "batch" else [things[what]] if what in things else []


def read(client: httpx.Client, things: dict[str, str]) -> dict[str, Any]:
    places = {"graph": "graphs", "snapshot": "snapshots", "job": "training-jobs", "import": "import-jobs"}
    places["batch"] = f"training-jobs/{things['job']}/batch-predictions"
    return {what: client.get(f"/api/network/{places[what]}/{named}/").json() for what, named in things.items()}


@pytest.mark.parametrize(("operation", "access"), calls(Own))
def test_what_is_anothers_is_not_there(
    shared_backend: Backend, things: dict[str, str], operation: tuple[str, str], access: Own
) -> None:
    """The same words as for an id that nothing has, from an administrator's view as well; and nothing has changed."""
    olga = shared_backend.client("olga")
    before = read(olga, things)
    for rival in (shared_backend.client("rita"), shared_backend.client("root", admin=True)):
        refused = ask(rival, operation, access.sent, *ids_of(access.what, things))
        nothing = ask(rival, operation, access.sent)
        assert refused.status_code == nothing.status_code == 404, refused.text
        assert {**refused.json(), "trace_id": ""} == {**nothing.json(), "trace_id": ""}
    assert read(olga, things) == before


@pytest.mark.parametrize(("operation", "access"), calls(Admin, Lists, Makes, Own))
def test_nobody_gets_in_without_a_token(
    shared_backend: Backend, things: dict[str, str], operation: tuple[str, str], access: Any
) -> None:
    named = ids_of(getattr(access, "what", ""), things)
    for token in ("", "no.token.atall"):
        refused = ask(shared_backend.client(token=token), operation, getattr(access, "sent", None), *named)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer realm="api"')
        assert refused.json().keys() == {"detail", "code", "trace_id"}
        assert refused.json()["code"] == "unauthorized"


@pytest.mark.parametrize(("operation", "access"), calls(Admin))
def test_what_is_for_administrators_is_a_403_for_others(
    shared_backend: Backend, operation: tuple[str, str], access: Admin
) -> None:
    refused = ask(shared_backend.client("olga"), operation, access.sent)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(("operation", "access"), calls(Lists))
def test_a_list_shows_its_owners_things_and_no_others(
    shared_backend: Backend, things: dict[str, str], operation: tuple[str, str], access: Lists
) -> None:
    own = ask(shared_backend.client("olga"), operation, None).text
    assert any(named in own for named in things.values())
    for rival in (shared_backend.client("rita"), shared_backend.client("root", admin=True)):
        seen = ask(rival, operation, None).text
        assert not [what for what, named in things.items() if named in seen]


@pytest.mark.parametrize(("operation", "access"), calls(Open))
def test_what_is_open_shows_nothing_of_anybody(
    shared_backend: Backend, things: dict[str, str], operation: tuple[str, str], access: Open
) -> None:
    seen = ask(shared_backend.client(token=""), operation, None)
    assert seen.status_code in (200, 404), seen.text
    assert not [what for what, named in things.items() if named in seen.text]


def test_a_snapshot_of_anothers_graph_is_refused_as_if_there_were_none(
    shared_backend: Backend, things: dict[str, str]
) -> None:
    rita = shared_backend.client("rita")
    refused = [
        rita.post("/api/network/snapshots/", json={"graph": named}) for named in (things["graph"], str(uuid.uuid4()))
    ]
    assert [answer.status_code for answer in refused] == [400, 400]
    assert refused[0].json() == refused[1].json()
    assert rita.get(f"/api/network/snapshots/?graph={things['graph']}").json() == []
