"""The forms of a value that section 3 of the contract calls normal, and the sentences about others."""

from __future__ import annotations

from typing import Any

import pytest

from core.base.errors import BadRequest
from core.graphs.schema import check_graph


def params(type_name: str, **given: Any) -> dict[str, Any]:
    """The checked parameters of one layer."""
    node = {"id": "n", "type": type_name, "params": {"input_shape": "(8, 8, 3)", **given}}
    return check_graph([node], [], complete=False)["nodes"][0]["params"]


def problem(type_name: str, name: str, value: Any, **others: Any) -> str:
    with pytest.raises(BadRequest) as caught:
        params(type_name, **{name: value}, **others)
    return caught.value.body["nodes"]["n"]["params"][name][0]


@pytest.mark.parametrize("value", [32, "32", " 32 ", "'32'", 32.0, "32.0", "3.2e1"])
def test_whole_numbers_in_every_form(value: Any) -> None:
    assert params("Dense", units=value) == {"units": 32}


@pytest.mark.parametrize("value", [None, "", "None", "none", "null", "undefined", "'None'", "  "])
def test_every_word_for_unset_leaves_the_default(value: Any) -> None:
    assert params("Dense", units=1, activation=value, use_bias=value, kernel_initializer=value) == {"units": 1}


@pytest.mark.parametrize("value", [False, "False", "false", "FALSE", "0", 0, "no", "off"])
def test_false_in_every_form(value: Any) -> None:
    assert params("Dense", units=1, use_bias=value)["use_bias"] is False


@pytest.mark.parametrize("value", ["'relu'", '"relu"', "ReLU", "RELU", "relu"])
def test_names_in_any_case_and_quotes(value: str) -> None:
    assert params("Dense", units=1, activation=value)["activation"] == "relu"


@pytest.mark.parametrize("value", ["'SAME'", "Same", "same"])
def test_choices_in_any_case(value: str) -> None:
    assert params("Conv2D", filters=1, kernel_size=3, padding=value)["padding"] == "same"


@pytest.mark.parametrize("value", ["(3, 3)", "[3,3]", [3, 3], "3,3", ["3", "3"], "( 3 , 3 , )", "'(3, 3)'"])
def test_tuples_in_every_form(value: Any) -> None:
    assert params("Conv2D", filters=1, kernel_size=value)["kernel_size"] == [3, 3]


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ("(5,)", [5]),
        ("5", [5]),
        (5, [5]),
        ("(None, 10)", [None, 10]),
        ("[null, 10]", [None, 10]),
        ([None, 4], [None, 4]),
    ],
)
def test_shapes_may_leave_sizes_open(value: Any, shape: Any) -> None:
    assert params("Input", shape=value)["shape"] == shape


def test_batch_shape_wins_over_shape() -> None:
    assert params("Input", shape="(3,)", batch_shape="(2, 4)", batch_size=9) == {"batch_shape": [2, 4]}


def test_undeclared_names_are_dropped() -> None:
    assert params("Dense", units=1, kwargs="x", name="None", colour="red") == {"units": 1}


def test_defaults_are_left_out_in_every_form() -> None:
    given = {"strides": "(1, 1)", "padding": "'valid'", "dilation_rate": [1, 1], "use_bias": "True", "groups": "1"}
    assert params("Conv2D", filters=2, kernel_size=3, **given) == {"filters": 2, "kernel_size": 3}


def test_a_serialised_object_becomes_its_class_and_parameters() -> None:
    sent = {"module": "keras.initializers", "class_name": "HeNormal", "config": {"seed": 3}, "registered_name": None}
    made = params("Dense", units=1, kernel_initializer=sent)["kernel_initializer"]
    assert made == {"module": "keras.initializers", "class_name": "HeNormal", "config": {"seed": 3}}


def test_the_module_a_client_names_is_not_looked_at() -> None:
    sent = {"module": "os", "class_name": "L2", "config": {"l2": 0.5}, "registered_name": "os>system"}
    made = params("Dense", units=1, kernel_regularizer=sent)["kernel_regularizer"]
    assert made["module"] == "keras.regularizers"


@pytest.mark.parametrize("value", ["L2(0.5)", "l2(l2=0.5)", "keras.regularizers.L2(0.5)", "regularizers.l2( 0.5 )"])
def test_a_call_as_text_becomes_the_object(value: str) -> None:
    made = params("Dense", units=1, kernel_regularizer=value)["kernel_regularizer"]
    assert made["class_name"] == "L2"
    assert made["config"] == {"l2": 0.5}


def test_wrapped_layers_can_be_typed() -> None:
    made = params("Bidirectional", layer="LSTM(8, return_sequences=True)")["layer"]
    assert made["class_name"] == "LSTM"
    assert made["config"] == {"units": 8, "return_sequences": True}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("units", "many", "whole number"),
        ("units", True, "whole number"),
        ("units", 2.5, "whole number"),
        ("units", -3, "at least 1"),
        ("units", "9" * 500, "whole number"),
        ("units", [3], None),
        ("units", {"a": 1}, "whole number"),
        ("use_bias", "maybe", "true or false"),
        ("activation", "rellu", "Did you mean 'relu'"),
        ("kernel_initializer", "glorot", "no initializer"),
        ("kernel_regularizer", "L2(0.1", "missing"),
        ("kernel_regularizer", "L2(nonsense=__import__('os'))", None),
        ("activation", {"class_name": "__lambda__", "config": {"value": "x"}}, "carries code"),
        ("activation", {"class_name": "function", "config": "eval"}, "no activation"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_sentence(name: str, value: Any, expected: str | None) -> None:
    others = {} if name == "units" else {"units": 3}
    if expected is None:
        assert "__import__" not in str(params("Dense", **{**others, name: value}))
    else:
        assert expected in problem("Dense", name, value, **others)


def test_a_missing_required_parameter_says_what_to_give() -> None:
    assert "units is required" in problem("Dense", "units", None)
    assert "LSTM(32)" in problem("Bidirectional", "layer", "")


@pytest.mark.parametrize(
    "value", ["Lambda(3)", {"class_name": "Lambda", "config": {"function": "x"}}, "TFSMLayer('/etc')"]
)
def test_code_carriers_are_refused_inside_wrappers_as_well(value: Any) -> None:
    assert "never run" in problem("TimeDistributed", "layer", value) or "program" in problem(
        "TimeDistributed", "layer", value
    )
