"""Which layer of an import each layer of a graph takes its weights from.

A node that came from the import is known by its id, whatever it is called by now. Any other is known by its name, where
the import has a layer of that name in the same place and no other node stands for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core.graphs.checked import CheckedGraph
from core.graphs.naming import layer_names

Path = tuple[str, ...]
Nodes = list[dict[str, Any]]


def mark_sources(checked: CheckedGraph, imported: Nodes) -> CheckedGraph:
    """The graph with `weights` at the nodes that have a source: the names that lead to it in the model file."""
    return _Sources(checked, imported).mark(checked, imported, ())


class _Sources:
    def __init__(self, checked: CheckedGraph, imported: Nodes) -> None:
        self._by_id: dict[str, Path] = {}
        self._inside: dict[Path, Nodes] = {}
        for node, path in _imported_nodes(imported, ()):
            self._by_id[node["id"]] = path
            self._inside[path] = _inner_nodes(node)
        self._claimed = {self._by_id[node_id] for node_id in _ids(checked) if node_id in self._by_id}

    def mark(self, checked: Any, imported: Nodes, prefix: Path) -> Any:
        """`imported` are the nodes that stand in the same place in the import, where `prefix` leads."""
        named = layer_names((node["type"], node["label"], node["params"].get("name")) for node in imported)
        by_name = {name: (*prefix, node["label"]) for name, node in zip(named, imported, strict=True)}
        return {**checked, "nodes": [self._marked(node, by_name.get(node["name"])) for node in checked["nodes"]]}

    def _marked(self, node: Any, namesake: Path | None) -> Any:
        path = self._by_id.get(node["id"], None if namesake in self._claimed else namesake)
        if "model" in node:
            inside = self._inside.get(path, []) if path is not None else []
            return {**node, "model": self.mark(node["model"], inside, path or ())}
        return {**node, "weights": [*path]} if path is not None else node


def _imported_nodes(nodes: Nodes, prefix: Path) -> Iterator[tuple[dict[str, Any], Path]]:
    """All nodes of the import's graph, those of nested models included, with the names that lead to them."""
    for node in nodes:
        path = (*prefix, node["label"])
        yield node, path
        yield from _imported_nodes(_inner_nodes(node), path)


def _inner_nodes(node: dict[str, Any]) -> Nodes:
    return node["notes"]["graph"]["nodes"] if "graph" in node["notes"] else []


def _ids(checked: Any) -> Iterator[str]:
    for node in checked["nodes"]:
        yield node["id"]
        if "model" in node:
            yield from _ids(node["model"])
