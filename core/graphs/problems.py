"""All that is wrong with a graph, gathered before anything is answered, in the shape of the contract."""

from __future__ import annotations

from typing import Any

from core.base.errors import BadRequest

# A person reads the first few; an answer of megabytes would help nobody.
_MOST = 200


class Problems:
    """Collects sentences by node, parameter and edge."""

    def __init__(self) -> None:
        self._graph: list[str] = []
        self._edges: list[str] = []
        self._nodes: dict[str, list[str]] = {}
        self._params: dict[str, dict[str, list[str]]] = {}
        self._nested: dict[str, Any] = {}
        self._count = 0

    def __bool__(self) -> bool:
        return self._count > 0

    def graph(self, text: str) -> None:
        """About the nodes as a whole."""
        self._add(self._graph, text)

    def edge(self, text: str) -> None:
        self._add(self._edges, text)

    def node(self, node_id: str, text: str) -> None:
        self._add(self._nodes.setdefault(node_id, []), text)

    def param(self, node_id: str, name: str, text: str) -> None:
        self._add(self._params.setdefault(node_id, {}).setdefault(name, []), text)

    def nested(self, node_id: str, problems: Problems) -> None:
        """Those of the model inside a node."""
        self._nested[node_id] = problems.as_dict()
        self._count += 1

    def concerns(self, node_id: str) -> bool:
        """Whether anything was said about this node."""
        return any(node_id in part for part in (self._nodes, self._params, self._nested))

    def as_dict(self) -> dict[str, Any]:
        """`{"nodes": …, "edges": …}`; with problems of single nodes, those of the whole are under `graph`."""
        answer: dict[str, Any] = {}
        by_node = {node_id: self._of(node_id) for node_id in {**self._nodes, **self._params, **self._nested}}
        if by_node:
            answer["nodes"] = by_node
        if self._graph:
            answer["graph" if by_node else "nodes"] = self._graph
        if self._edges:
            answer["edges"] = self._edges
        return answer

    def raise_if_any(self) -> None:
        """Raises BadRequest with everything gathered so far."""
        if self:
            raise BadRequest(self.as_dict())

    def _of(self, node_id: str) -> Any:
        texts = self._nodes.get(node_id, [])
        parts: dict[str, Any] = {}
        if node_id in self._params:
            parts["params"] = self._params[node_id]
        if node_id in self._nested:
            parts["model"] = self._nested[node_id]
        if not parts:
            return texts
        return {"layer": texts, **parts} if texts else parts

    def _add(self, where: list[str], text: str) -> None:
        self._count += 1
        if self._count <= _MOST and text not in where:
            where.append(text)
