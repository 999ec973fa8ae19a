"""Which layer of an import a node takes its weights from."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from core.graphs.schema import check_graph
from core.training.weight_sources import mark_sources


def node(node_id: str, kind: str, label: str, inner: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    params = {"Input": {"shape": "(3,)"}, "Dense": {"units": 3}}.get(kind, {})
    notes = {} if inner is None else {"graph": {"nodes": inner, "edges": edges(inner)}}
    return {"id": node_id, "type": kind, "label": label, "params": params, "notes": notes}


def edges(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    ids = [item["id"] for item in nodes]
    return [{"source": source, "target": target} for source, target in pairwise(ids)]


def inner(prefix: str) -> list[dict[str, Any]]:
    return [node(f"{prefix}-x", "Input", "x"), node(f"{prefix}-d", "Dense", "d")]


IMPORTED = [
    node("g1-x", "Input", "x"),
    node("g1-a", "Dense", "a"),
    node("g1-b", "Dense", "conv1/b"),
    node("g1-m", "Functional", "m", inner("g1-m")),
]


def sources(*nodes: dict[str, Any]) -> dict[str, Any]:
    """By the names of the network's layers what they take, those of nested models below theirs."""

    def taken(graph: Any) -> dict[str, Any]:
        return {
            item["name"]: taken(item["model"]) if "model" in item else item.get("weights") for item in graph["nodes"]
        }

    drawn = [node("in", "Input", "x"), *nodes]
    found = taken(mark_sources(check_graph(drawn, edges(drawn)), IMPORTED))
    return {name: source for name, source in found.items() if name != "x"}


def test_a_node_of_the_import_is_known_by_its_id_whatever_it_is_called() -> None:
    assert sources(node("g1-a", "Dense", "renamed"), node("g1-b", "Dense", "a")) == {
        "renamed": ["a"],
        "a": ["conv1/b"],
    }


def test_another_node_is_known_by_the_name_that_the_import_would_have() -> None:
    assert sources(node("n1", "Dense", "a"), node("n2", "Dense", "conv1/b"), node("n3", "Dense", "new")) == {
        "a": ["a"],
        "conv1_b": ["conv1/b"],
        "new": None,
    }


def test_a_name_whose_node_is_there_under_another_name_is_not_given_away_twice() -> None:
    assert sources(node("g1-a", "Dense", "old"), node("n1", "Dense", "a")) == {"old": ["a"], "a": None}


def test_layers_of_a_nested_model_are_found_inside_it() -> None:
    by_id = node("g1-m", "Functional", "renamed", inner("g1-m"))
    by_name = node("n1", "Functional", "m", inner("new"))
    assert sources(by_id) == {"renamed": {"x": ["m", "x"], "d": ["m", "d"]}}
    assert sources(by_name) == {"m": {"x": ["m", "x"], "d": ["m", "d"]}}
    assert sources(node("n1", "Functional", "other", inner("new"))) == {"other": {"x": None, "d": None}}


def test_a_layer_taken_out_of_a_nested_model_is_still_known() -> None:
    assert sources(node("g1-m-d", "Dense", "free"), node("n1", "Dense", "d")) == {"free": ["m", "d"], "d": None}
