"""Whatever is sent as a graph, the answer is 200, 400 or 413 in the documented shape."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.base.errors import AppError
from core.catalog.catalog import catalog
from core.graphs.api import new_graph
from core.graphs.keras_json import import_model
from core.graphs.literals import read
from core.graphs.preset import shipped
from tests.fuzz.compiling import Compiling, assert_documented
from tests.unit.compile.recipes import RECIPES, drawing

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SLOW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
TYPES = st.sampled_from([entry["name"] for entry in catalog().entries("layers")])
TYPED = st.sampled_from(
    ["", "None", "'same'", '"relu"', "(3, 3)", "[3,3]", "(None, 10)", "(5,)", "True", "0", "-1", "1e3", "1e400",
     "nan", "inf", "9" * 30, "L2(0.1)", "LSTM(3)", "LSTM(3", "((1,1),(2,2))", "auto", "same", "channels_first",
     "float16",
     "(" * 50,
     "é🙂", "\ud800", "__import__('os')", "{'class_name': 'L2', 'config': {}}", "keras.layers.Dense(3)", "0x10", "٣"]
)  # fmt: skip
VALUES = TYPED | JSON | st.integers(-3, 40)


@pytest.fixture(scope="module")
def compiling() -> Iterator[Compiling]:
    made = Compiling()
    yield made
    made.close()


@QUICK
@given(nodes=JSON, edges=JSON)
def test_arbitrary_json_as_graph(compiling: Compiling, nodes: Any, edges: Any) -> None:
    assert_documented(*compiling.answer(nodes, edges))


@QUICK
@given(data=st.data())
def test_arbitrary_values_as_parameters(compiling: Compiling, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(RECIPES)))
    nodes, edges = copy.deepcopy(drawing(name))
    entry = catalog().find("layers", name)
    assert entry is not None
    names = [parameter["name"] for parameter in entry["parameters"]] or ["units"]
    changed = data.draw(st.dictionaries(st.sampled_from(names), VALUES, max_size=3))
    nodes[-1]["params"] = {**nodes[-1].get("params", {}), **changed}
    if name in ("Input", "InputLayer"):
        nodes[0]["params"] |= changed
    assert_documented(*compiling.answer(nodes, edges))


@SLOW
@given(data=st.data())
def test_random_graphs_of_catalogue_layers(compiling: Compiling, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 8))
    shapes = st.sampled_from(["(8,)", "(8, 4)", "(8, 8, 3)", "(4, 8, 8, 3)", "()", "(None, 4)"])
    nodes: list[dict[str, Any]] = [{"id": "n0", "type": "Input", "params": {"shape": data.draw(shapes)}}]
    edges: list[dict[str, Any]] = []
    for number in range(1, count + 1):
        name = data.draw(st.sampled_from(sorted(set(RECIPES) - {"Input", "InputLayer"})))
        nodes.append({"id": f"n{number}", "type": name, "params": RECIPES[name][0]})
        for source in data.draw(st.lists(st.integers(0, number - 1), min_size=1, max_size=2)):
            meta = data.draw(
                st.sampled_from([{}, {}, {}, {"output": 1}, {"argument": "value"}, {"path": [0]}, {"argument": 1}])
            )
            edges.append({"source": f"n{source}", "target": f"n{number}", "meta": meta})
    assert_documented(*compiling.answer(nodes, edges))


@SLOW
@given(data=st.data())
def test_presets_with_something_changed(compiling: Compiling, data: st.DataObject) -> None:
    preset = data.draw(st.sampled_from(sorted(shipped().values(), key=lambda item: item.slug)))
    graph = copy.deepcopy(dict(preset.graph))
    for _ in range(data.draw(st.integers(1, 3))):
        _mutate(graph, data)
    assert_documented(*compiling.answer(graph["nodes"], graph["edges"]))


@QUICK
@given(body=st.dictionaries(st.sampled_from(["name", "nodes", "edges", "status", "metadata", "task"]), JSON))
def test_arbitrary_bodies_are_saved_or_refused(body: dict[str, Any]) -> None:
    try:
        new_graph("owner", body)
    except AppError as error:
        assert error.status in (400, 413)


@QUICK
@given(
    model=JSON,
    layers=st.lists(JSON | TYPES.map(lambda name: {"class_name": name, "config": {"name": name}}), max_size=4),
)
def test_arbitrary_models_are_imported_or_refused(model: Any, layers: list[Any]) -> None:
    whole = {"class_name": "Functional", "config": {"layers": layers, "input_layers": model}}
    for value in (model, whole, {"class_name": "Sequential", "config": {"layers": layers}}):
        try:
            import_model(value)
        except AppError as error:
            assert error.status in (400, 413)


@QUICK
@given(text=st.text(alphabet="()[]{}=,:'\"aLZ019._-+e \n\\", max_size=60) | st.text(max_size=60))
def test_any_text_reads_as_a_value_or_raises_value_error(text: str) -> None:
    try:
        read(text)
    except ValueError:
        return


def _mutate(graph: dict[str, Any], data: st.DataObject) -> None:
    """One change that a person, a script or a mishap might make."""
    node = data.draw(st.sampled_from(graph["nodes"]))
    change = data.draw(st.sampled_from(["type", "param", "edge", "drop node", "drop edge", "twin", "meta", "notes"]))
    if change == "type":
        node["type"] = data.draw(TYPES)
    elif change == "param" and node["params"]:
        node["params"][data.draw(st.sampled_from(sorted(node["params"])))] = data.draw(VALUES)
    elif change == "edge":
        ends = [data.draw(st.sampled_from(graph["nodes"]))["id"] for _ in range(2)]
        graph["edges"].append({"id": f"new-{len(graph['edges'])}", "source": ends[0], "target": ends[1]})
    elif change == "drop node" and len(graph["nodes"]) > 1:
        graph["nodes"].remove(node)
    elif change == "drop edge" and graph["edges"]:
        graph["edges"].pop()
    elif change == "twin":
        graph["nodes"].append(dict(node))
    elif change == "meta" and graph["edges"]:
        graph["edges"][0]["meta"] = data.draw(
            st.dictionaries(st.sampled_from(["call", "output", "argument", "path"]), JSON)
        )
    elif change == "notes":
        node["notes"] = data.draw(
            st.dictionaries(st.sampled_from(["calls", "input", "outputs", "keras", "graph"]), JSON)
        )
