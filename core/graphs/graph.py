"""A stored graph: the fields of the contract, read from a request and shown in an answer."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.base.errors import BadRequest
from core.graphs.checked import CheckedGraph
from core.graphs.schema import check_graph

STATUSES = ("draft", "valid", "compiled")
_TEXTS = {"name": 120, "task": 120, "framework": 60, "framework_version": 60, "description": 10_000}
_NODE_KEYS = ("id", "type", "label", "params", "position", "notes")
_EDGE_KEYS = ("id", "source", "target", "meta")


@dataclass(frozen=True)
class Graph:
    """A graph of one owner. `nodes` and `edges` are kept as they were sent, with what the answer adds."""

    id: str
    owner: str
    created_at: str
    updated_at: str
    name: str = ""
    task: str = ""
    framework: str = "tf-keras"
    framework_version: str = ""
    status: str = "draft"
    description: str = ""
    metadata: Mapping[str, Any] | None = None
    nodes: tuple[Mapping[str, Any], ...] = ()
    edges: tuple[Mapping[str, Any], ...] = ()

    @property
    def checked(self) -> CheckedGraph:
        """The graph as children build it. Raises BadRequest with all that keeps it from being built."""
        return check_graph([*self.nodes], [*self.edges])

    def view(self) -> dict[str, Any]:
        """The graph as the API shows it."""
        return {
            "id": self.id,
            **{key: getattr(self, key) for key in ("name", "task", "framework", "framework_version")},
            "status": self.status,
            "description": self.description,
            "metadata": self.metadata or {},
            "nodes": self.nodes,
            "edges": self.edges,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }

    def changed(self, sent: Mapping[str, Any], at: str, *, whole: bool) -> Graph:
        """The graph after a PUT (`whole`) or PATCH of what was sent. Raises BadRequest with all problems."""
        problems: dict[str, Any] = {}
        fields = _read_fields(sent, problems, name_required=whole)
        if whole:
            fields = {**_defaults(), **fields}
        try:
            fields |= self._read_drawing(sent, at, whole)
        except BadRequest as refused:
            problems |= refused.body
        if problems:
            raise BadRequest(problems)
        return replace(self, **fields, updated_at=at)

    def _read_drawing(self, sent: Mapping[str, Any], at: str, whole: bool) -> dict[str, Any]:
        if not (whole or "nodes" in sent or "edges" in sent):
            return {}
        nodes: Any = sent.get("nodes") if whole or "nodes" in sent else [*self.nodes]
        edges: Any = sent.get("edges", []) if whole or "edges" in sent else [*self.edges]
        check_graph(nodes, edges, complete=False)
        return {
            "nodes": _kept(nodes, self.nodes, at, _NODE_KEYS, {"label": "", "params": {}, "position": {}, "notes": {}}),
            "edges": _kept(edges or [], self.edges, at, _EDGE_KEYS, {"id": "", "meta": {}}),
        }


def _defaults() -> dict[str, Any]:
    return {
        "task": "",
        "framework": "tf-keras",
        "framework_version": "",
        "status": "draft",
        "description": "",
        "metadata": {},
    }


def _read_fields(sent: Mapping[str, Any], problems: dict[str, Any], *, name_required: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, longest in _TEXTS.items():
        if key in sent and not (key != "name" and sent[key] is None):
            fields[key] = _read_text(key, sent[key], longest, problems)
    if name_required and "name" not in sent:
        problems["name"] = ["Give the graph a name."]
    if sent.get("status") is not None:
        if sent["status"] not in STATUSES:
            problems["status"] = [f"The status is one of {', '.join(STATUSES)}."]
        fields["status"] = sent["status"]
    if sent.get("metadata") is not None:
        if not isinstance(sent["metadata"], dict):
            problems["metadata"] = ["metadata must be an object."]
        fields["metadata"] = sent["metadata"]
    return fields


def _read_text(key: str, value: Any, longest: int, problems: dict[str, Any]) -> str:
    if not isinstance(value, str):
        problems[key] = ["This must be text."]
        return ""
    if key == "name" and not value.strip():
        problems[key] = ["Give the graph a name."]
    if len(value) > longest:
        problems[key] = [f"This has {len(value)} characters; at most {longest} are allowed."]
    return value


def _kept(
    items: list[Any], before: tuple[Mapping[str, Any], ...], at: str, keys: tuple[str, ...], defaults: dict[str, Any]
) -> tuple[dict[str, Any], ...]:
    """Nodes or edges as sent, each with a stable id and timestamps that outlive an update."""
    old = {item["id"]: item for item in before}
    kept: list[dict[str, Any]] = []
    for item in items:
        known = old.get(item.get("id", ""))
        shown = {key: item.get(key) if item.get(key) is not None else defaults.get(key) for key in keys}
        same = known is not None and all(known[key] == shown[key] for key in keys)
        kept.append(
            {
                **shown,
                "stable_id": known["stable_id"] if known else str(uuid.uuid4()),
                "created_at": known["created_at"] if known else at,
                "updated_at": known["updated_at"] if known and same else at,
            }
        )
    return tuple(kept)
