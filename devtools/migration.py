"""`dev.py migrate`: graphs, snapshots and presets of the Django service, brought along over the HTTP API.

Reads what that service can hand out: answers of its API (`GET graphs/`, `GET presets/`, `GET snapshots/`) and
Django's `dumpdata`, where nodes and edges are rows of their own. Each graph keeps its old id in
`metadata.migrated_from`; what is there already is not made twice, so a run that broke off can be repeated.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devtools import Failure
from devtools.client import Answer, Api

ORIGIN = "migrated_from"
_GRAPHS, _PRESETS, _SNAPSHOTS = (f"/api/network/{kind}/" for kind in ("graphs", "presets", "snapshots"))
_GRAPH_FIELDS = ("name", "task", "framework", "framework_version", "status", "description", "metadata")
_NODE_FIELDS = ("type", "label", "params", "position", "notes")
# How rows of a dump may call the owner of a graph, and the id that the canvas gave to a node or an edge.
_OWNER = ("owner_id", "owner", "user_id", "user")
_CLIENT_ID = ("client_id", "node_id", "edge_id", "external_id", "key", "id")

Sign = Callable[[str, bool], Api]


@dataclass(frozen=True)
class Drawing:
    """A graph of the old service. `owner` is empty in answers of its API, which say nothing of it."""

    old_id: str
    owner: str
    body: dict[str, Any]


@dataclass
class Export:
    """All that was read from the files."""

    graphs: list[Drawing] = field(default_factory=list[Drawing])
    presets: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    snapshots: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


@dataclass
class Report:
    """What became of each item; `refused` holds a sentence for each that was not taken."""

    made: int = 0
    there: int = 0
    refused: list[str] = field(default_factory=list[str])


def read_exports(files: list[Path]) -> Export:
    """Raises Failure for a file that is no export of the old service."""
    export = Export()
    for file in files:
        try:
            content = json.loads(file.read_text("utf-8-sig"))
        except OSError as error:
            raise Failure(f"{file} cannot be read: {error.strerror}.") from None
        except ValueError as error:
            raise Failure(f"{file} is not JSON: {error}.") from None
        found = content.get("results", [content]) if isinstance(content, dict) else content
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            raise Failure(f"{file} is no export: a list of graphs, presets or snapshots is needed, or a dumpdata file.")
        if any("fields" in item and "model" in item for item in found):
            _read_dump(found, export)
        else:
            _read_answers(found, export, file)
    return export


def migrate(export: Export, sign: Sign) -> Iterator[tuple[str, Report]]:
    """Bring everything along; yields each kind with its report.

    `sign(owner, admin)` gives the API as that person; the owner is empty where an export names none.
    """
    new_ids: dict[str, tuple[str, str]] = {}
    yield "graphs", _bring_graphs(export.graphs, sign, new_ids)
    yield "snapshots", _bring_snapshots(export.snapshots, sign, new_ids)
    yield "presets", _bring_presets(export.presets, sign)


def _read_answers(found: list[dict[str, Any]], export: Export, file: Path) -> None:
    for item in found:
        if "slug" in item:
            export.presets.append({key: item.get(key, "") for key in ("slug", "name", "description", "graph")})
        elif "payload" in item and "graph" in item:
            export.snapshots.append(item)
        elif "nodes" in item and "name" in item:
            old = {key: item[key] for key in (*_GRAPH_FIELDS, "nodes", "edges") if key in item}
            export.graphs.append(Drawing(str(item.get("id", "")), "", old))
        else:
            raise Failure(f"{file} holds something that is neither a graph, nor a preset, nor a snapshot.")


def _read_dump(rows: list[dict[str, Any]], export: Export) -> None:
    kinds: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        kind = str(row["model"]).rpartition(".")[2].lower()
        # `graphnode` and `node`, `graphpreset` and `preset` are the same to us.
        kinds.setdefault(kind.removeprefix("network").removeprefix("graph") or "graph", []).append(row)
    # A user row is named by a number; who that is to the issuing service stands in its username.
    users = {str(row["pk"]): str(row["fields"].get("username", "")) for row in kinds.get("user", [])}
    nodes = _by_graph(kinds.get("node", []), _read_node)
    edges = _by_graph(kinds.get("edge", []), _read_edge)
    for row in kinds.get("graph", []):
        old_id, fields = str(row["pk"]), row["fields"]
        body = {key: fields[key] for key in _GRAPH_FIELDS if fields.get(key) is not None}
        body["nodes"] = nodes.get(old_id) or fields.get("nodes") or []
        body["edges"] = edges.get(old_id) or fields.get("edges") or []
        owner = _first(fields, _OWNER)
        export.graphs.append(Drawing(old_id, users.get(owner) or owner, body))
    for row in kinds.get("preset", []):
        export.presets.append({key: row["fields"].get(key, "") for key in ("slug", "name", "description", "graph")})
    for row in kinds.get("snapshot", []):
        export.snapshots.append({"id": row["pk"], **row["fields"]})


def _by_graph(rows: list[dict[str, Any]], read: Callable[[Any, Mapping[str, Any]], Any]) -> dict[str, list[Any]]:
    """Nodes or edges by the graph they belong to, in the order of their keys, which is the order they were made in."""
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(str(row["fields"].get("graph")), []).append(read(row["pk"], row["fields"]))
    return found


def _read_node(pk: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: fields[key] for key in _NODE_FIELDS if fields.get(key) is not None}
    return {"id": _first(fields, _CLIENT_ID) or str(pk), **kept}


def _read_edge(pk: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    ends = {key: str(fields.get(key, "")) for key in ("source", "target")}
    return {"id": _first(fields, _CLIENT_ID) or str(pk), **ends, "meta": fields.get("meta") or {}}


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((str(fields[name]) for name in names if fields.get(name) not in (None, "")), "")


def _bring_graphs(graphs: list[Drawing], sign: Sign, new_ids: dict[str, tuple[str, str]]) -> Report:
    report = Report()
    there: dict[str, dict[str, str]] = {}
    for graph in graphs:
        api = sign(graph.owner, False)
        if graph.owner not in there:
            there[graph.owner] = _migrated(api)
        new_id = there[graph.owner].get(graph.old_id, "")
        if new_id:
            report.there += 1
        else:
            metadata = {**(graph.body.get("metadata") or {}), ORIGIN: graph.old_id}
            answer = api.call("POST", _GRAPHS, {**graph.body, "metadata": metadata})
            new_id = _noted(report, answer, f"graph '{graph.body.get('name', graph.old_id)}'").get("id", "")
        if new_id:
            new_ids[graph.old_id] = (graph.owner, new_id)
    return report


def _migrated(api: Api) -> dict[str, str]:
    """The new ids of graphs that an earlier run brought along, by their old ones."""
    graphs = _listed(api, _GRAPHS)
    return {graph["metadata"][ORIGIN]: graph["id"] for graph in graphs if ORIGIN in (graph.get("metadata") or {})}


def _bring_snapshots(snapshots: list[dict[str, Any]], sign: Sign, new_ids: dict[str, tuple[str, str]]) -> Report:
    """Snapshots of graphs that came along; one with the same label and payload is there already."""
    report = Report()
    for snapshot in snapshots:
        label = str(snapshot.get("label") or "")
        if str(snapshot["graph"]) not in new_ids:
            report.refused.append(f"snapshot '{label}': its graph {snapshot['graph']} is not among those read.")
            continue
        owner, graph = new_ids[str(snapshot["graph"])]
        api = sign(owner, False)
        known = _listed(api, f"{_SNAPSHOTS}?graph={graph}")
        if any((old["label"], old["payload"]) == (label, snapshot["payload"]) for old in known):
            report.there += 1
        else:
            body = {"graph": graph, "label": label, "payload": snapshot["payload"]}
            _noted(report, api.call("POST", _SNAPSHOTS, body), f"snapshot '{label}'")
    return report


def _bring_presets(presets: list[dict[str, Any]], sign: Sign) -> Report:
    report = Report()
    if presets:
        api = sign("", True)
        slugs = {preset["slug"] for preset in _listed(api, _PRESETS)}
        for preset in presets:
            if preset["slug"] in slugs:
                report.there += 1
            else:
                _noted(report, api.call("POST", _PRESETS, preset), f"preset '{preset['slug']}'")
    return report


def _listed(api: Api, path: str) -> list[dict[str, Any]]:
    answer = api.call("GET", path)
    if answer.status != 200:
        raise Failure(f"{api.url}{path} answers {answer.status}: {_sentence(answer)}")
    return answer.json()


def _noted(report: Report, answer: Answer, what: str) -> dict[str, Any]:
    """The answer to a POST, counted; an empty object if the service refused."""
    if answer.status == 201:
        report.made += 1
        return answer.json()
    report.refused.append(f"{what}: {_sentence(answer)}")
    return {}


def _sentence(answer: Answer) -> str:
    try:
        body = answer.json()
    except ValueError:
        return f"answer {answer.status} without JSON; is this the address of the backend?"
    return str(body["detail"]) if isinstance(body, dict) and "detail" in body else json.dumps(body, ensure_ascii=False)
