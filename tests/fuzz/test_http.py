"""Whatever is sent over HTTP as a graph, the real host answers 200, 201, 400 or 413 with JSON; never 5xx."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.test_graphs import JSON
from tests.harness import Backend, classifier

GRAPHS = "/api/network/graphs/"
TEXT = st.text(max_size=30) | st.sampled_from(["\ud800", "\x00", "a\u2028b", "🙂" * 40, "</script>", "x" * 121])
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def client(shared_backend: Backend) -> httpx.Client:
    return shared_backend.client("fuzz")


def send(client: httpx.Client, method: str, path: str, body: Any) -> httpx.Response:
    """The body as JSON with escapes, so that any text can be sent; the answer has the documented form."""
    answer = client.request(method, path, content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code in (200, 201, 400, 413), answer.text
    assert isinstance(answer.json(), dict)
    return answer


@QUICK
@given(name=TEXT, description=TEXT, label=TEXT, node_id=TEXT, value=JSON)
def test_texts_of_any_kind_come_back_or_are_refused(
    client: httpx.Client, name: str, description: str, label: str, node_id: str, value: Any
) -> None:
    graph = classifier()
    graph["nodes"][1] |= {"id": node_id, "label": label, "notes": {"note": value}}
    for edge in graph["edges"]:
        edge |= {end: node_id for end in ("source", "target") if edge[end] == "n1"}
    sent = {**graph, "name": name, "description": description, "metadata": {"value": value}}
    answer = send(client, "POST", GRAPHS, sent)
    send(client, "POST", f"{GRAPHS}compile/", sent)
    if answer.status_code == 201:
        made = answer.json()
        assert (made["name"], made["nodes"][1]["id"], made["nodes"][1]["label"]) == (name, node_id, label)
        assert client.get(f"{GRAPHS}{made['id']}/").json() == made
        snapshot = send(client, "POST", "/api/network/snapshots/", {"graph": made["id"], "label": label})
        assert snapshot.json()["label"] == label
        client.delete(f"{GRAPHS}{made['id']}/")


@QUICK
@given(body=JSON, part=JSON)
def test_bodies_of_any_kind_are_answered_in_words(client: httpx.Client, body: Any, part: Any) -> None:
    for path in (GRAPHS, f"{GRAPHS}compile/", f"{GRAPHS}import-keras-json/", f"{GRAPHS}export-script/"):
        for sent in (body, {"name": "x", "nodes": part, "edges": body, "model_json": part}):
            answer = client.post(path, content=json.dumps(sent), headers={"Content-Type": "application/json"})
            assert answer.status_code in (200, 201, 400, 413), (path, answer.text)
            assert isinstance(answer.json(), dict)


@pytest.mark.parametrize("depth", [150, 250, 900, 930, 950, 970, 990, 5000])
def test_json_nested_to_any_depth_is_kept_or_refused(client: httpx.Client, depth: int) -> None:
    """Around Python's own limit a request could be read and then fail half-way."""
    deep = "[" * depth + "]" * depth
    nodes = f'[{{"id": "a", "type": "Input", "params": {{"shape": "(3,)"}}, "notes": {{"deep": {deep}}}}}]'
    for path in (GRAPHS, f"{GRAPHS}compile/", f"{GRAPHS}import-keras-json/", "/api/network/snapshots/"):
        body = f'{{"name": "deep", "nodes": {nodes}, "payload": {nodes}}}'
        answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (200, 201, 400), (path, answer.text)
    model = json.dumps({"model_json": nodes})
    answer = client.post(f"{GRAPHS}import-keras-json/", content=model, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
