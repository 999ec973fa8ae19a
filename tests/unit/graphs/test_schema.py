"""What is checked of a drawing without Keras, and in which shape the problems come."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from core.base.errors import BadRequest, TooLarge
from core.graphs.schema import check_graph

INPUT = {"id": "in", "type": "Input", "params": {"shape": "(4,)"}}
DENSE = {"id": "d", "type": "Dense", "params": {"units": 3}, "label": "h2"}
EDGE = {"id": "e", "source": "in", "target": "d"}


def problems(nodes: Any, edges: Any, *, complete: bool = True) -> dict[str, Any]:
    with pytest.raises(BadRequest) as caught:
        check_graph(nodes, edges, complete=complete)
    return caught.value.body


def test_ids_of_any_form_come_through() -> None:
    ids = ["V1StGX", "input-1", "gab12cd34-dense-1", "Ünïcode 🙂", "a/b\\c#d?e"]
    nodes = [{**INPUT, "id": ids[0]}, *({**DENSE, "id": name} for name in ids[1:])]
    edges = [{"id": f"reactflow__edge-{a}-{b}", "source": a, "target": b} for a, b in pairwise(ids)]
    assert [node["id"] for node in check_graph(nodes, edges)["nodes"]] == ids


def test_all_problems_come_at_once() -> None:
    nodes = [
        INPUT,
        {**DENSE, "params": {"units": "x", "activation": "y"}},
        {"id": "u", "type": "Dens"},
        {"id": "l", "type": "Lambda"},
    ]
    found = problems(nodes, [EDGE, {"id": "e2", "source": "d", "target": "nowhere"}])
    assert set(found["nodes"]) == {"d", "u", "l"}
    assert set(found["nodes"]["d"]["params"]) == {"units", "activation"}
    assert "Did you mean Dense?" in found["nodes"]["u"][0]
    assert "never run" in found["nodes"]["l"][0]
    assert "nowhere" in found["edges"][0]


def test_problems_of_the_whole_graph_are_a_list() -> None:
    assert problems([], [])["nodes"] == ["The graph is empty: add at least one layer."]
    assert isinstance(problems([DENSE, {**INPUT, "id": "d"}], [])["nodes"], dict | list)
    assert "edges" in problems([INPUT], 3)


def test_two_nodes_with_one_id_are_refused() -> None:
    assert "unique" in str(problems([INPUT, {**DENSE, "id": "in"}], [], complete=False))


def test_a_loop_is_named() -> None:
    nodes = [INPUT, DENSE, {**DENSE, "id": "d2", "label": "h3"}]
    edges = [EDGE, {"id": "e2", "source": "d", "target": "d2"}, {"id": "e3", "source": "d2", "target": "d"}]
    [text] = problems(nodes, edges)["edges"]
    assert "'h2'" in text
    assert "'h3'" in text


def test_saving_allows_a_first_layer_without_shape_and_compiling_does_not() -> None:
    assert check_graph([DENSE], [], complete=False)["nodes"]
    assert "gets no input" in str(problems([DENSE], []))


def test_an_input_takes_no_edges() -> None:
    edges = [EDGE, {"id": "e2", "source": "d", "target": "in"}]
    assert "where data comes in" in str(problems([INPUT, DENSE], edges))


def test_an_argument_that_the_layer_does_not_take_is_named() -> None:
    found = problems([INPUT, DENSE], [{**EDGE, "meta": {"argument": "value"}}])
    assert "takes no argument 'value'" in found["edges"][0]


def test_more_nodes_than_allowed_is_a_413_with_the_limit() -> None:
    nodes = [{**DENSE, "id": str(number)} for number in range(2001)]
    with pytest.raises(TooLarge, match="2,000"):
        check_graph(nodes, [])


def test_nodes_of_nested_models_count_as_well() -> None:
    inner = {"nodes": [{**DENSE, "id": str(number)} for number in range(2000)], "edges": []}
    with pytest.raises(TooLarge):
        check_graph([{"id": "m", "type": "Functional", "notes": {"graph": inner}}], [])


def test_problems_inside_a_nested_model_are_below_its_node() -> None:
    inner = {"nodes": [INPUT, {**DENSE, "params": {}}], "edges": [EDGE]}
    nodes = [INPUT, {"id": "m", "type": "Functional", "notes": {"graph": inner}}]
    found = problems(nodes, [{"id": "e", "source": "in", "target": "m"}])
    assert "units" in found["nodes"]["m"]["model"]["nodes"]["d"]["params"]


@pytest.mark.parametrize("value", [None, 3, "x", [], [3], [None], [{}], [{"id": 3}], [{"id": ""}], [{"id": "a"}],
                                   [{"id": "a", "type": 3}], [{"id": "a", "type": "Dense", "params": 3}],
                                   [{"id": "a", "type": "Input", "params": {"shape": {}}}],
                                   [{"id": "a", "type": "Dense", "label": 3, "notes": []}]])  # fmt: skip
def test_nodes_of_any_other_form_are_refused_in_words(value: Any) -> None:
    assert problems(value, [])["nodes"]


@pytest.mark.parametrize("value", [3, "x", [3], [{}], [{"source": "in"}], [{**EDGE, "meta": 3}], [{**EDGE, "id": 3}],
                                   [{**EDGE, "meta": {"call": -1}}], [{**EDGE, "meta": {"path": [[]]}}],
                                   [{**EDGE, "meta": {"output": 10**9}}], [{**EDGE, "meta": {"argument": []}}],
                                   [EDGE, EDGE], [{**EDGE, "source": ["in"]}]])  # fmt: skip
def test_edges_of_any_other_form_are_refused_in_words(value: Any) -> None:
    assert problems([INPUT, DENSE], value)["edges"]


def test_labels_name_layers_and_the_type_numbers_the_others() -> None:
    nodes = [
        INPUT,
        DENSE,
        {**DENSE, "id": "x", "label": "Dense"},
        {**DENSE, "id": "y", "label": ""},
        {**DENSE, "id": "z", "label": "my layer!"},
    ]
    checked = check_graph(nodes, [EDGE], complete=False)
    assert [node["name"] for node in checked["nodes"]] == ["input_layer", "h2", "dense", "dense_1", "my_layer"]
