"""Exports of the Django service, brought along through `dev.py migrate` into a running backend."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from devtools.bearer import bearer_token
from tests.harness import SIGNING_KEY, Backend

ROOT = Path(__file__).resolve().parents[2]

Migrate = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def migrate(shared_backend: Backend, tmp_path: Path) -> Migrate:
    """Runs the command on one file with this content."""

    def run(content: Any, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "export.json"
        file.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        command = [sys.executable, "dev.py", "migrate", str(file), "--url", shared_backend.url, *options]
        environment = {**os.environ, "ASPNET_JWT_KEY": SIGNING_KEY, **environment}
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)

    return run


def graphs_of(backend: Backend, owner: str) -> list[dict[str, Any]]:
    token = bearer_token(SIGNING_KEY, user=owner, admin=False, now=int(time.time()), user_id=owner)
    return backend.client(token=token).get("/api/network/graphs/").json()


def old_graph(**changes: Any) -> dict[str, Any]:
    """As the old API answers it: parameters as texts, stable ids, timestamps."""
    return {
        "id": str(uuid.uuid4()),
        "name": "Iris",
        "task": "",
        "framework": "tf-keras",
        "framework_version": "",
        "status": "compiled",
        "description": "three kinds of flowers",
        "metadata": {"colour": "blue"},
        "nodes": [
            {"id": "input-1", "stable_id": str(uuid.uuid4()), "type": "InputLayer", "label": "in",
             "params": {"shape": "(4,)"}, "position": {"x": 1.5, "y": 2}, "notes": {}},
            {"id": "V1StGX", "stable_id": str(uuid.uuid4()), "type": "Dense", "label": "out",
             "params": {"units": "3", "activation": "'softmax'"}, "position": {}, "notes": {}},
        ],
        "edges": [{"id": "reactflow__edge-1", "source": "input-1", "target": "V1StGX", "meta": {}}],
        "created_at": "2024-02-01T10:00:00.000000Z",
        "updated_at": "2024-02-01T10:00:00.000000Z",
        **changes,
    }  # fmt: skip


def dumped(graph: dict[str, Any], owner: object) -> list[dict[str, Any]]:
    """The same graph as Django's dumpdata has it: nodes and edges are rows of their own."""
    body = {key: value for key, value in graph.items() if key not in ("id", "nodes", "edges")}
    rows = [{"model": "network.graph", "pk": graph["id"], "fields": {**body, "owner": owner}}]
    for node in graph["nodes"]:
        fields = {"graph": graph["id"], "node_id": node["id"], **{k: v for k, v in node.items() if k != "id"}}
        rows.append({"model": "network.graphnode", "pk": node["stable_id"], "fields": fields})
    for edge in graph["edges"]:
        fields = {"graph": graph["id"], "edge_id": edge["id"], **{k: v for k, v in edge.items() if k != "id"}}
        rows.append({"model": "network.graphedge", "pk": str(uuid.uuid4()), "fields": fields})
    return rows


def drawing(graph: dict[str, Any]) -> tuple[Any, Any]:
    nodes = [{key: node[key] for key in ("id", "type", "label", "params", "position")} for node in graph["nodes"]]
    return nodes, [(edge["id"], edge["source"], edge["target"]) for edge in graph["edges"]]


def test_graphs_of_an_api_answer_come_along_as_they_were_drawn(migrate: Migrate, shared_backend: Backend) -> None:
    owner, graph = str(uuid.uuid4()), old_graph()
    run = migrate([graph], "--user-id", owner)
    assert run.returncode == 0, run.stderr
    assert "graphs: 1 brought along, 0 there already, 0 refused" in run.stdout
    [found] = graphs_of(shared_backend, owner)
    assert drawing(found) == drawing(graph)
    assert (found["name"], found["status"]) == ("Iris", "compiled")
    assert found["metadata"] == {"colour": "blue", "migrated_from": graph["id"]}


def test_a_second_run_brings_nothing_twice(migrate: Migrate, shared_backend: Backend) -> None:
    owner, graphs = str(uuid.uuid4()), {"results": [old_graph(), old_graph(name="Second")]}
    migrate(graphs, "--user-id", owner)
    run = migrate(graphs, "--user-id", owner)
    assert "graphs: 0 brought along, 2 there already, 0 refused" in run.stdout
    assert len(graphs_of(shared_backend, owner)) == 2


def test_a_dump_goes_to_its_owners_with_nodes_edges_and_snapshots(migrate: Migrate, shared_backend: Backend) -> None:
    ada, bob = str(uuid.uuid4()), str(uuid.uuid4())
    of_ada, of_bob = old_graph(name="Ada's"), old_graph(name="Bob's")
    rows = [
        {"model": "auth.user", "pk": 7, "fields": {"username": bob}},
        *dumped(of_ada, ada),
        *dumped(of_bob, 7),
        {
            "model": "network.snapshot",
            "pk": str(uuid.uuid4()),
            "fields": {"graph": of_bob["id"], "label": "before", "payload": {"nodes": of_bob["nodes"], "edges": []}},
        },
    ]
    run = migrate(rows)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "snapshots: 1 brought along" in run.stdout
    assert [drawing(graph) for graph in graphs_of(shared_backend, ada)] == [drawing(of_ada)]
    assert [graph["name"] for graph in graphs_of(shared_backend, bob)] == ["Bob's"]
    again = migrate(rows)
    assert "snapshots: 0 brought along, 1 there already" in again.stdout


def test_presets_come_along_under_their_slug_once(migrate: Migrate, shared_backend: Backend) -> None:
    slug = f"old-{uuid.uuid4().hex[:8]}"
    graph = {key: old_graph()[key] for key in ("nodes", "edges")}
    preset = {"id": 3, "slug": slug, "name": "Old one", "description": "", "graph": graph}
    assert "presets: 1 brought along" in migrate([preset]).stdout
    assert "presets: 0 brought along, 1 there already" in migrate([preset]).stdout
    slugs = [preset["slug"] for preset in shared_backend.client(token="").get("/api/network/presets/").json()]
    assert slugs.count(slug) == 1


def test_what_is_refused_is_named_and_the_rest_comes_along(migrate: Migrate, shared_backend: Backend) -> None:
    owner, broken = str(uuid.uuid4()), old_graph(name="Broken")
    broken["nodes"][1]["type"] = "DenseThatNeverWas"
    run = migrate([broken, old_graph()], "--user-id", owner)
    assert run.returncode == 1
    assert "graphs: 1 brought along, 0 there already, 1 refused" in run.stdout
    assert "graph 'Broken': " in run.stdout
    assert "DenseThatNeverWas" in run.stdout
    assert [graph["name"] for graph in graphs_of(shared_backend, owner)] == ["Iris"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("not json", "is not JSON"),
        ('{"results": 3}', "is no export"),
        ('[{"name": "x"}]', "neither a graph, nor a preset, nor a snapshot"),
        ('[{"id": "1", "name": "x", "nodes": []}]', "--user-id"),
    ],
)
def test_what_is_no_export_ends_with_a_sentence(migrate: Migrate, content: str, sentence: str) -> None:
    run = migrate(content)
    assert run.returncode == 1
    assert sentence in run.stderr
    assert "Traceback" not in run.stderr


def test_a_backend_that_is_not_there_ends_with_a_sentence(migrate: Migrate) -> None:
    run = migrate([old_graph()], "--user-id", "ada", "--url", "http://127.0.0.1:1")
    assert run.returncode == 1
    assert "does not answer" in run.stderr
    assert "Traceback" not in run.stderr
