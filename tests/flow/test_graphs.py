"""Graphs, catalogues, presets and snapshots over HTTP, on the real host and storage."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.harness import Backend, chain, classifier

GRAPHS = "/api/network/graphs/"
KINDS = ["layers", "optimizers", "losses", "metrics", "activations"]


@pytest.fixture
def client(shared_backend: Backend) -> httpx.Client:
    """A user of this test alone."""
    return shared_backend.client(f"user-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def admin(shared_backend: Backend) -> httpx.Client:
    return shared_backend.client("root", admin=True)


def made(client: httpx.Client, graph: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = client.post(GRAPHS, json=graph or classifier())
    assert answer.status_code == 201, answer.text
    return answer.json()


def large(name: str, units: int) -> dict[str, Any]:
    """A graph whose drawing does not fit into a row."""
    graph = chain(("Input", {"shape": "(4,)"}), *[("Dense", {"units": units})] * 600, name=name)
    for node in graph["nodes"]:
        node["notes"] = {"mark": name, "text": uuid.uuid4().hex * 4}
    return graph


def test_what_was_sent_comes_back_with_what_the_answer_adds(client: httpx.Client) -> None:
    graph = made(client)
    sent = classifier()
    for kind in ("nodes", "edges"):
        for item, back in zip(sent[kind], graph[kind], strict=True):
            assert item.items() <= back.items()
            uuid.UUID(back["stable_id"])
    assert {key: graph[key] for key in ("task", "framework", "status", "metadata")} == {
        "task": "", "framework": "tf-keras", "status": "draft", "metadata": {},
    }  # fmt: skip
    assert client.get(f"{GRAPHS}{graph['id']}/").json() == graph


def test_list_is_newest_change_first_with_nodes(client: httpx.Client) -> None:
    first, second = made(client), made(client, large("large", 3))
    assert [graph["id"] for graph in client.get(GRAPHS).json()] == [second["id"], first["id"]]
    client.patch(f"{GRAPHS}{first['id']}/", json={"name": "renamed"})
    listed = client.get(GRAPHS).json()
    assert [graph["name"] for graph in listed] == ["renamed", "large"]
    assert [len(graph["nodes"]) for graph in listed] == [3, 601]


def test_put_keeps_stable_ids_and_replaces_the_rest(client: httpx.Client) -> None:
    before = made(client)
    sent = classifier(units=9)
    after = client.put(f"{GRAPHS}{before['id']}/", json={**sent, "nodes": sent["nodes"], "description": "new"}).json()
    assert [node["stable_id"] for node in after["nodes"]] == [node["stable_id"] for node in before["nodes"]]
    assert after["nodes"][0]["updated_at"] == before["nodes"][0]["updated_at"]
    assert after["nodes"][1]["updated_at"] > before["nodes"][1]["updated_at"]
    assert after["created_at"] == before["created_at"]
    assert after["description"] == "new"


def test_a_refused_put_changes_nothing(client: httpx.Client) -> None:
    graph = made(client)
    path = f"{GRAPHS}{graph['id']}/"
    answer = client.put(path, json={"name": "x", "nodes": [{"id": "a", "type": "Nothing"}], "edges": []})
    assert answer.status_code == 400
    assert "a" in answer.json()["nodes"]
    assert client.get(path).json() == graph


def test_two_puts_at_once_never_mix(client: httpx.Client) -> None:
    graph = made(client, large("first", 3))
    path = f"{GRAPHS}{graph['id']}/"
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda name: client.put(path, json=large(name, 5)), [f"n{i}" for i in range(6)]))
    assert {answer.status_code for answer in answers} == {200}
    now = client.get(path).json()
    assert {node["notes"]["mark"] for node in now["nodes"]} == {now["name"]}


def test_if_match_of_an_older_version_is_412(client: httpx.Client) -> None:
    graph = made(client)
    path = f"{GRAPHS}{graph['id']}/"
    etag = client.get(path).headers["ETag"]
    assert client.patch(path, json={"name": "one"}, headers={"If-Match": etag}).status_code == 200
    assert client.patch(path, json={"name": "two"}, headers={"If-Match": etag}).status_code == 412
    assert client.get(path).json()["name"] == "one"


def test_graphs_of_others_are_not_there(client: httpx.Client, shared_backend: Backend) -> None:
    path = f"{GRAPHS}{made(client)['id']}/"
    other = shared_backend.client("somebody-else")
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        assert other.request(method, path, json=classifier()).status_code == 404
    assert other.get(f"{path}compile/").status_code == 404
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [({**classifier(), "name": ""}, "name"), ({**classifier(), "name": "x" * 121}, "name"),
     ({**classifier(), "status": "done"}, "status"), ({**classifier(), "metadata": []}, "metadata"),
     ({"nodes": []}, "name"), ({"name": "x"}, "nodes")],
)  # fmt: skip
def test_wrong_fields_are_named(client: httpx.Client, body: dict[str, Any], field: str) -> None:
    answer = client.post(GRAPHS, json=body)
    assert answer.status_code == 400
    assert field in answer.json()


def test_graphs_beyond_the_limits_are_413_with_a_sentence(client: httpx.Client) -> None:
    many = chain(*[("Dense", {"units": 1})] * 2001)
    heavy = {**classifier(), "metadata": {"x": "y" * (5 * 2**20)}}
    for path in (GRAPHS, f"{GRAPHS}compile/"):
        for body in (many, heavy):
            answer = client.post(path, json=body)
            assert answer.status_code == 413, answer.text
            assert "at most" in answer.json()["detail"]


def test_compile_of_a_drawing_and_of_a_stored_graph_agree(client: httpx.Client) -> None:
    graph = made(client)
    posted = client.post(f"{GRAPHS}compile/", json={**classifier(), "anything": 1})
    assert posted.status_code == 200, posted.text
    assert posted.json()["parameter_count"] == 17
    assert client.get(f"{GRAPHS}{graph['id']}/compile/").json() == posted.json()
    assert client.post(f"{GRAPHS}compile/", json={"nodes": [], "edges": []}).status_code == 400


def test_the_script_is_a_python_attachment(client: httpx.Client) -> None:
    answer = client.post(f"{GRAPHS}export-script/", json={**classifier(), "name": "My Net"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/x-python")
    assert answer.headers["content-disposition"] == 'attachment; filename="my-net.py"'
    compile(answer.text, "script", "exec")
    graph = made(client)
    assert "build_model_py" in client.get(f"{GRAPHS}{graph['id']}/export-script/").text


def test_model_json_is_imported_in_both_forms(client: httpx.Client) -> None:
    script = client.post(f"{GRAPHS}export-script/", json={**classifier(), "name": "net"}).text
    [line] = [line for line in script.splitlines() if line.startswith("MODEL_JSON = ")]
    text = json.loads(line.removeprefix("MODEL_JSON = "))
    named = client.post(f"{GRAPHS}import-keras-json/", json={"model_json": text, "name": "mine"})
    bare = client.post(f"{GRAPHS}import-keras-json/", content=text, headers={"Content-Type": "application/json"})
    assert (named.status_code, bare.status_code) == (201, 201)
    assert (named.json()["name"], bare.json()["name"]) == ("mine", "net")
    compiled = client.get(f"{GRAPHS}{named.json()['id']}/compile/").json()
    assert compiled["parameter_count"] == 17
    refused = client.post(f"{GRAPHS}import-keras-json/", json={"model_json": "{"})
    assert refused.status_code == 400
    assert "model" in refused.json()


@pytest.mark.parametrize("kind", KINDS)
def test_catalogue_is_served_with_etag_and_compressed(shared_backend: Backend, kind: str) -> None:
    anonymous = shared_backend.client(token="")
    path = f"/api/network/{kind}/"
    answer = anonymous.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.json()[kind]
    assert anonymous.get(path, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    plain = anonymous.get(path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.json() == answer.json()
    name = answer.json()[kind][0]["name"]
    assert anonymous.get(f"{path}{name}/").json()["qualified_name"] == f"keras.{kind}.{name}"
    assert anonymous.get(f"{path}Nothing/").status_code == 404
    assert anonymous.get(f"{path}specs/").json()["tensorflow_version"]


@pytest.mark.parametrize("action", ["refresh-manifest", "regenerate-manifest"])
def test_only_administrators_renew_the_catalogue(
    shared_backend: Backend, client: httpx.Client, admin: httpx.Client, action: str
) -> None:
    path = f"/api/network/metrics/{action}/"
    assert shared_backend.client(token="").get(path).status_code == 401
    assert client.get(path).status_code == 403
    answer = admin.get(path)
    assert answer.json()["ok"] is True
    assert "46 metrics" in answer.json()["message"]


def test_presets_are_read_by_all_and_changed_by_administrators(
    shared_backend: Backend, client: httpx.Client, admin: httpx.Client
) -> None:
    path = "/api/network/presets/"
    shipped = shared_backend.client(token="").get(path).json()
    assert len(shipped) >= 10
    body = {"slug": f"mine-{uuid.uuid4().hex[:6]}", "name": "Mine", "graph": classifier()}
    assert client.post(path, json=body).status_code == 403
    preset = admin.post(path, json=body)
    assert preset.status_code == 201, preset.text
    one = f"{path}{preset.json()['id']}/"
    assert client.get(one).json()["graph"] == body["graph"]
    assert "slug" in admin.post(path, json=body).json()
    assert "slug" in admin.post(path, json={**body, "slug": shipped[0]["slug"]}).json()
    assert "graph" in admin.patch(one, json={"graph": {"nodes": []}}).json()
    assert admin.patch(one, json={"slug": body["slug"] + "-b"}).json()["slug"] == body["slug"] + "-b"
    assert admin.delete(one).status_code == 204
    assert client.get(one).status_code == 404


def test_a_shipped_preset_can_be_changed_and_taken_away(backend: Any) -> None:
    admin = backend().client("root", admin=True)
    path = "/api/network/presets/"
    preset = admin.get(path).json()[0]
    changed = admin.patch(f"{path}{preset['id']}/", json={"name": "Renamed"}).json()
    assert changed["name"] == "Renamed"
    assert admin.get(path).json()[0] == changed
    assert admin.delete(f"{path}{preset['id']}/").status_code == 204
    assert preset["id"] not in [item["id"] for item in admin.get(path).json()]


def test_a_snapshot_can_be_restored(client: httpx.Client, shared_backend: Backend) -> None:
    path = "/api/network/snapshots/"
    graph = made(client)
    snapshot = client.post(path, json={"graph": graph["id"], "label": "before", "payload": graph})
    assert snapshot.status_code == 201, snapshot.text
    one = f"{path}{snapshot.json()['id']}/"
    client.put(
        f"{GRAPHS}{graph['id']}/", json=chain(("Input", {"shape": "(2,)"}), ("Dense", {"units": 50}), name="new")
    )
    restored = client.post(f"{one}restore/")
    assert restored.status_code == 200, restored.text
    assert [node["id"] for node in restored.json()["nodes"]] == ["n0", "n1", "n2"]
    assert restored.json()["name"] == "new"
    other = shared_backend.client("somebody-else")
    assert other.get(one).status_code == 404
    assert other.post(f"{one}restore/").status_code == 404
    assert "graph" in other.post(path, json={"graph": graph["id"], "payload": {}}).json()
    assert client.patch(one, json={"label": "later"}).json()["label"] == "later"
    second = client.post(path, json={"graph": graph["id"]}).json()
    assert [item["id"] for item in client.get(path).json()] == [second["id"], snapshot.json()["id"]]
    client.delete(f"{GRAPHS}{graph['id']}/")
    assert client.get(path).json() == []
