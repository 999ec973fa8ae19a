"""Compiling drawings in real children: answers, limits, and what is remembered."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import psutil
import pytest

from core.base.errors import BadRequest
from core.base.settings import Settings
from core.graphs.answers import Answers
from core.graphs.compile import Compiler, content_key
from core.keras_worker.pool import ChildPool, PoolOptions
from tests.harness import chain

pytestmark = pytest.mark.asyncio(loop_scope="session")


def drawn(*layers: tuple[str, dict[str, Any]]) -> tuple[list[Any], list[Any]]:
    graph = chain(*layers)
    return graph["nodes"], graph["edges"]


async def problems(compiler: Compiler, *layers: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    with pytest.raises(BadRequest) as caught:
        await compiler.compile(*drawn(*layers))
    return caught.value.body


async def test_answer_has_summary_count_and_one_shape_for_each_end(compiler: Compiler) -> None:
    answer = await compiler.compile(*drawn(("Input", {"shape": "(10,)"}), ("Dense", {"units": "1"})))
    assert answer["parameter_count"] == 11
    assert answer["input_shape"] == [[None, 10]]
    assert answer["output_shape"] == [[None, 1]]
    assert "Total params: 11" in answer["summary"]


async def test_each_layer_is_one_line_of_the_summary(compiler: Compiler) -> None:
    long = "a_layer_with_a_name_that_is_longer_than_any_column_of_the_usual_summary_would_be"
    nodes, edges = drawn(
        ("Input", {"shape": "(10,)"}), ("BatchNormalization", {}), ("Dense", {"units": 10}), ("Add", {})
    )
    nodes[1]["label"] = long
    edges.append({"id": "skip", "source": "n1", "target": "n3"})
    answer = await compiler.compile(nodes, edges)
    rows = [re.split("[│┃]", line)[1:-1] for line in answer["summary"].splitlines() if "│" in line]
    assert [row[0].strip() for row in rows] == [
        "input_layer (InputLayer)", f"{long} (BatchNormalization)", "dense (Dense)", "add (Add)",
    ]  # fmt: skip
    assert [row[2].strip() for row in rows] == ["0", "40", "110", "0"]


async def test_a_layer_without_input_node_gets_an_input_of_its_own(compiler: Compiler) -> None:
    answer = await compiler.compile(*drawn(("Dense", {"units": 2, "input_dim": "4", "input_shape": "(7,)"})))
    assert answer["input_shape"] == [[None, 7]]


async def test_a_shared_layer_counts_once(compiler: Compiler) -> None:
    nodes, edges = drawn(("Input", {"shape": "(4,)"}), ("Dense", {"units": 4}))
    edges.append({"id": "again", "source": "n1", "target": "n1", "meta": {"call": 1}})
    assert (await compiler.compile(nodes, edges))["parameter_count"] == 20


@pytest.mark.parametrize("inputs", [1, 2, 3])
async def test_plain_edges_into_attention_are_query_value_and_key(compiler: Compiler, inputs: int) -> None:
    nodes = [{"id": f"i{number}", "type": "Input", "params": {"shape": "(5, 4)"}} for number in range(inputs)]
    edges = [{"id": f"e{number}", "source": f"i{number}", "target": "a"} for number in range(inputs)]
    nodes.append({"id": "a", "type": "MultiHeadAttention", "params": {"num_heads": 2, "key_dim": 3}})
    assert (await compiler.compile(nodes, edges))["output_shape"] == [[None, 5, 4]]


async def test_an_output_without_size_is_refused(compiler: Compiler) -> None:
    found = await problems(compiler, ("Input", {"shape": "(28, 28)"}), ("MaxPooling1D", {"pool_size": 40}))
    assert "would be empty" in found["nodes"]["n1"][0]


async def test_an_input_that_leads_nowhere_is_named(compiler: Compiler) -> None:
    nodes, edges = drawn(("Input", {"shape": "(4,)"}), ("Dense", {"units": 4}))
    nodes.append({"id": "loose", "type": "Input", "label": "second", "params": {"shape": "(4,)"}})
    with pytest.raises(BadRequest) as caught:
        await compiler.compile(nodes, edges)
    assert caught.value.body["nodes"]["loose"] == ["Input 'second' leads nowhere: connect it to a layer or remove it."]


async def test_thirty_billion_parameters_take_no_memory(compiler: Compiler) -> None:
    wide = ("Dense", {"units": 100_000})
    answer = await compiler.compile(*drawn(("Input", {"shape": "(100000,)"}), wide, wide, wide))
    assert answer["parameter_count"] > 30_000_000_000
    for child in compiler.pool.state()["idle"]:
        assert psutil.Process(child["pid"]).memory_info().rss < 400 * 2**20


async def test_shape_errors_name_the_layer_its_input_and_its_neighbour(compiler: Compiler) -> None:
    found = await problems(compiler, ("Input", {"shape": "(28, 28)"}), ("Conv2D", {"filters": 4, "kernel_size": 3}))
    [text] = found["nodes"]["n1"]
    assert "Conv2D" in text
    assert "(None, 28, 28)" in text
    assert "Input" in text
    assert "Reshape" in text


async def test_all_branches_are_tried_though_one_fails(compiler: Compiler) -> None:
    nodes, edges = drawn(("Input", {"shape": "(4,)"}), ("LSTM", {"units": 2}))
    nodes.append({"id": "c", "type": "Conv1D", "params": {"filters": 1, "kernel_size": 3}})
    edges.append({"id": "ec", "source": "n0", "target": "c"})
    with pytest.raises(BadRequest) as caught:
        await compiler.compile(nodes, edges)
    assert set(caught.value.body["nodes"]) == {"n1", "c"}


async def test_a_graph_that_would_exhaust_memory_is_refused_in_words(compiler: Compiler) -> None:
    found = await problems(
        compiler, ("Input", {"shape": "(16, 16, 3)"}), ("Pipeline", {"layers": "[Resizing(30000, 30000)]"})
    )
    assert "memory" in str(found) or "too large" in str(found)
    answer = await compiler.compile(*drawn(("Input", {"shape": "(3,)"}), ("Dense", {"units": 1})))
    assert answer["parameter_count"] == 4


async def test_a_graph_that_takes_too_long_costs_only_its_child(compiler: Compiler) -> None:
    slow = Compiler(compiler.pool, Settings(compile_seconds=1, compile_children=1))
    layers = [("Bidirectional", {"layer": "LSTM(3, return_sequences=True)"})] * 1990
    with pytest.raises(BadRequest) as caught:
        await slow.compile(*drawn(("Input", {"shape": "(4, 3)"}), *layers))
    assert "longer than 1 seconds" in str(caught.value.body)
    answer = await compiler.compile(*drawn(("Input", {"shape": "(3,)"}), ("Dense", {"units": 2})))
    assert answer["parameter_count"] == 8


async def test_a_child_that_was_killed_is_replaced(compiler: Compiler) -> None:
    await compiler.warm()
    for child in compiler.pool.state()["idle"]:
        psutil.Process(child["pid"]).kill()
    answer = await compiler.compile(*drawn(("Input", {"shape": "(3,)"}), ("Dense", {"units": 41})))
    assert answer["parameter_count"] == 164


async def test_compiles_where_children_cannot_fork() -> None:
    pool = ChildPool(PoolOptions(start="spawn"))
    try:
        spawned = Compiler(pool, Settings(compile_seconds=60))
        answer = await spawned.compile(*drawn(("Input", {"shape": "(3,)"}), ("Dense", {"units": 41})))
        assert answer["parameter_count"] == 164
    finally:
        await pool.close()


async def test_answers_and_refusals_are_remembered_by_content(compiler: Compiler) -> None:
    nodes, edges = drawn(("Input", {"shape": "(3,)"}), ("Dense", {"units": 77}))
    first = await compiler.compile(nodes, edges)
    moved = [{**node, "position": {"x": 5, "y": 6}} for node in nodes]
    assert await compiler.compile(moved, edges) is first
    bad = drawn(("Input", {"shape": "(3,)"}), ("Dense", {"units": -77}))
    errors = []
    for _ in range(2):
        with pytest.raises(BadRequest) as caught:
            await compiler.compile(*bad)
        errors.append(caught.value)
    assert errors[0] is errors[1]


async def test_a_request_of_the_same_bytes_is_not_read_again(compiler: Compiler) -> None:
    reads: list[int] = []

    def read() -> tuple[Any, Any]:
        reads.append(1)
        return drawn(("Input", {"shape": "(3,)"}), ("Dense", {"units": 78}))

    first = await compiler.compile_request(b"the same bytes", read)
    assert await compiler.compile_request(b"the same bytes", read) is first
    assert len(reads) == 1


async def test_no_more_answers_are_kept_than_allowed() -> None:
    answers = Answers(2)
    for number in range(3):
        answers.keep(bytes([number]), {"summary": "x"})
    assert [answers.find(bytes([number])) is None for number in range(3)] == [True, False, False]
    answers.keep(b"large", {"summary": "x" * 40 * 2**20})
    assert answers.find(b"large") is None


async def test_many_at_once_use_no_more_children_than_allowed(compiler: Compiler) -> None:
    graphs = [drawn(("Input", {"shape": "(3,)"}), ("Dense", {"units": 100 + number})) for number in range(16)]
    answers = await asyncio.gather(*(compiler.compile(*graph) for graph in graphs))
    assert [answer["parameter_count"] for answer in answers] == [4 * (100 + number) for number in range(16)]
    assert len(compiler.pool.state()["idle"]) <= 2


async def test_different_parameters_are_different_content() -> None:
    one, other = (drawn(("Dense", {"units": units})) for units in (1, "1"))
    assert content_key(*one) != content_key(*other)
