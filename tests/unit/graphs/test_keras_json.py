"""Import of model JSON: what Keras writes can be drawn, and the drawing is the same model again."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from core.base.errors import BadRequest
from core.graphs.compile import Compiler
from core.graphs.keras_json import import_model
from core.graphs.preset import Preset, shipped
from core.graphs.schema import check_graph
from core.keras_worker.environment import child_environment

MODELS = ["nested", "attention", "shared", "named_ends", "wrappers", "middle_output", "frozen"]
# Written along, but following from the rest.
_DERIVED = {"build_config", "build_input_shape", "registered_name", "compile_config"}


@pytest.fixture(scope="module")
def keras_models() -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.unit.graphs.keras_models"]
    answer = subprocess.run(command, env=child_environment("numpy"), check=True, capture_output=True, text=True)
    return json.loads(answer.stdout.splitlines()[-1])


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("name", MODELS)
async def test_keras_to_graph_to_keras_is_the_same_model(
    name: str, keras_models: dict[str, Any], compiler: Compiler
) -> None:
    original = keras_models[name]
    drawn = import_model(original)
    _, facts = await compiler.facts(drawn["nodes"], drawn["edges"], name)
    assert _essence(json.loads(facts["model_json"])) == _essence(original)


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("name", MODELS)
async def test_graph_to_keras_to_graph_is_the_same_drawing(
    name: str, keras_models: dict[str, Any], compiler: Compiler
) -> None:
    drawn = import_model(keras_models[name])
    checked, facts = await compiler.facts(drawn["nodes"], drawn["edges"], name)
    again = import_model(json.loads(facts["model_json"]))
    assert _by_name(check_graph(again["nodes"], again["edges"])) == _by_name(checked)


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("preset", shipped().values(), ids=lambda preset: preset.slug)
async def test_a_drawing_that_goes_through_keras_is_the_same_model(preset: Preset, compiler: Compiler) -> None:
    _, facts = await compiler.facts(preset.graph["nodes"], preset.graph["edges"], "net")
    again = import_model(json.loads(facts["model_json"]))
    _, facts_again = await compiler.facts(again["nodes"], again["edges"], "net")
    assert _essence(json.loads(facts_again["model_json"])) == _essence(json.loads(facts["model_json"]))


def test_nodes_have_the_parameters_and_positions_of_the_contract(keras_models: dict[str, Any]) -> None:
    drawn = import_model(keras_models["shared"])
    nodes = {node["label"]: node for node in drawn["nodes"]}
    assert nodes["left"]["params"] == {"shape": [4], "dtype": "float32", "name": "left"}
    assert "name" not in nodes["tower"]["params"]
    assert None not in nodes["tower"]["params"].values()
    assert nodes["tower"]["params"]["kernel_regularizer"]["config"] == {"l2": 0.5}
    assert re.fullmatch(r"g[0-9a-f]{8}-dense-\d+", nodes["tower"]["id"])
    places = [(node["position"]["x"], node["position"]["y"]) for node in drawn["nodes"]]
    assert len(set(places)) == len(places)


def test_each_import_has_ids_of_its_own(keras_models: dict[str, Any]) -> None:
    first, second = (import_model(keras_models["shared"]) for _ in range(2))
    assert not {node["id"] for node in first["nodes"]} & {node["id"] for node in second["nodes"]}


def legacy(name: str, class_name: str, inbound: Any, **config: Any) -> dict[str, Any]:
    return {"class_name": class_name, "config": {"name": name, **config}, "name": name, "inbound_nodes": inbound}


KERAS_2 = {
    "class_name": "Functional",
    "config": {
        "name": "old",
        "layers": [
            legacy("x", "InputLayer", [], batch_input_shape=[None, 6, 4], dtype="float32", sparse=False, ragged=False),
            legacy(
                "encoder", "LSTM", [[["x", 0, 0, {}]]], units=3, return_state=True, time_major=False, implementation=2
            ),
            legacy(
                "decoder", "LSTM", [[["x", 0, 0, {"initial_state": [["encoder", 0, 1], ["encoder", 0, 2]]}]]], units=3
            ),
            legacy("norm", "BatchNormalization", [[["decoder", 0, 0, {}]]], axis=[1]),
            legacy("twice", "Dense", [[["norm", 0, 0, {}]], [["twice", 0, 0, {}]]], units=3, activation="relu"),
            legacy("leaky", "LeakyReLU", [[["twice", 1, 0, {}]]], alpha=0.125),
            legacy("sum", "Add", [[["leaky", 0, 0, {}], ["twice", 0, 0, {}]]]),
        ],
        "input_layers": [["x", 0, 0]],
        "output_layers": [["sum", 0, 0]],
    },
    "keras_version": "2.11.0",
    "backend": "tensorflow",
}


@pytest.mark.asyncio(loop_scope="session")
async def test_lists_of_keras_2_are_read(compiler: Compiler) -> None:
    drawn = import_model(KERAS_2)
    params = {node["label"]: node["params"] for node in drawn["nodes"]}
    assert params["x"] == {"shape": [6, 4], "dtype": "float32", "name": "x"}
    assert params["leaky"] == {"negative_slope": 0.125}
    answer = await compiler.compile(drawn["nodes"], drawn["edges"])
    assert answer["output_shape"] == [[None, 3]]
    assert "twice[1][0]" in answer["summary"]
    assert "encoder[0][1], encoder[0][2]" in answer["summary"]


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        ({"batch_input_shape": [None, 7]}, [7]),
        ({"batch_shape": [None, 5], "input_shape": [9]}, [5]),
        ({"input_shape": [6, 2]}, [6, 2]),
        ({"input_dim": 3}, [3]),
    ],
)
def test_a_sequential_model_without_input_gets_one(config: dict[str, Any], shape: list[int]) -> None:
    layers = [{"class_name": "Dense", "config": {"name": "d", "units": 2, **config}}]
    drawn = import_model({"class_name": "Sequential", "config": {"name": "s", "layers": layers}})
    assert drawn["nodes"][0]["type"] == "InputLayer"
    assert drawn["nodes"][0]["params"]["shape"] == shape
    assert drawn["nodes"][0]["notes"] == {"synthesized": True}
    assert check_graph(drawn["nodes"], drawn["edges"])


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (None, "Only Sequential"),
        ({}, "no class_name"),
        ({"class_name": "MyModel", "config": {}}, "'MyModel'"),
        ({"class_name": "Functional"}, "no list of layers"),
        ({"class_name": "Functional", "config": {"layers": [3]}}, "no list of layers"),
        ({"class_name": "Functional", "config": {"layers": [legacy("d", "Dense", 3)]}}, "inbound_nodes"),
        ({"class_name": "Functional", "config": {"layers": [legacy("d", "Dense", [[["no", 0, 0]]])]}}, "inbound_nodes"),
        ({"class_name": "Functional", "config": {"layers": [legacy("l", "Lambda", [])]}}, "never run"),
        ({"class_name": "Functional", "config": {"layers": [legacy("l", "mine>Dense", [])]}}, "custom"),
        ({"class_name": "Functional", "config": {"layers": [{**legacy("l", "Dense", []), "module": "os"}]}}, "custom"),
        ({"class_name": "Functional", "config": {"layers": [legacy("l", "TFOpLambda", [])]}}, "not a layer"),
        (
            {
                "class_name": "Functional",
                "config": {"layers": [{**legacy("l", "Map", []), "module": "keras.src.ops.core"}]},
            },
            "cannot be drawn",
        ),
    ],
)
def test_what_cannot_be_imported_is_refused_with_a_reason(model: Any, says: str) -> None:
    with pytest.raises(BadRequest) as caught:
        import_model(model)
    [text] = caught.value.body["model"]
    assert says in text


def _essence(model: dict[str, Any]) -> Any:
    """A functional model's JSON without what follows from the rest, layers by name."""
    config = model["config"]
    layers = {layer.get("name") or layer["config"]["name"]: _plain(layer) for layer in config["layers"]}
    return layers, config.get("input_layers"), config.get("output_layers")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if key not in _DERIVED}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _by_name(value: Any) -> Any:
    """A checked graph, and those inside it, with names for ids and in one order, so that two imports compare."""
    if isinstance(value, list):
        return [_by_name(item) for item in value]
    if not isinstance(value, dict):
        return value
    if not {"nodes", "edges", "order"} <= set(value):
        return {key: _by_name(item) for key, item in value.items()}
    names = {node["id"]: node["name"] for node in value["nodes"]}
    nodes = [
        _by_name({key: item for key, item in node.items() if key not in ("id", "label")}) for node in value["nodes"]
    ]
    wires = [{**wire, "source": names[wire["source"]], "target": names[wire["target"]]} for wire in value["edges"]]
    return sorted(map(_text, nodes)), sorted(map(_text, wires))


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
