"""Training parameters: every form the canvas sends, and what a person is told about the others."""

from __future__ import annotations

from typing import Any

import pytest

from core.base.errors import BadRequest
from core.base.settings import Settings
from core.training.parameters import TrainingParameters, parse_parameters

REQUIRED = {"x_columns": ["a"], "y_column": "b"}
LIMITS = Settings(max_epochs=500, max_batch_size=1000, max_columns=3)


def parse(**values: Any) -> TrainingParameters:
    return parse_parameters({**REQUIRED, **values}, LIMITS)


def problems(**values: Any) -> dict[str, Any]:
    with pytest.raises(BadRequest) as refused:
        parse(**values)
    assert isinstance(refused.value.problem, dict)
    return refused.value.problem


def test_form_strings_and_json_values_mean_the_same() -> None:
    form = parse(
        x_columns='["a", "c"]', epochs="10", batch_size=" 32 ", validation_split="0.2", shuffle="off",
        early_stopping="yes", metrics='["mae"]', learning_rate="1e-3", clipnorm="",
    )  # fmt: skip
    values = parse(
        x_columns=["a", "c"], epochs=10, batch_size=32, validation_split=0.2, shuffle=False,
        early_stopping=True, metrics=["mae"], learning_rate=0.001, clipnorm=None,
    )  # fmt: skip
    assert form == values


@pytest.mark.parametrize("text", ['["a"]', ["a"], "a"])
def test_one_column_is_a_list_of_one(text: Any) -> None:
    assert parse(x_columns=text).x_columns == ["a"]


@pytest.mark.parametrize("text", ["true", "1", "yes", "on", "True", 1, True])
def test_the_usual_words_are_true(text: Any) -> None:
    assert parse(y_one_hot=text).y_one_hot is True


@pytest.mark.parametrize("unset", [None, "", "null", "None", "undefined"])
def test_what_is_not_set_takes_its_default(unset: Any) -> None:
    assert parse(epochs=unset, learning_rate=unset, metrics=unset) == parse()


def test_all_problems_come_at_once_under_their_fields() -> None:
    found = problems(epochs="many", batch_size=0, es_mode="best", validation_split=1.5, x_columns=[])
    assert found.keys() == {"epochs", "batch_size", "es_mode", "validation_split", "x_columns"}
    assert found["epochs"] == ["Must be a whole number."]
    assert found["batch_size"] == ["Must be at least 1."]


def test_splits_that_leave_no_rows_are_an_error_on_both() -> None:
    assert problems(validation_split=0.5, test_split=0.5).keys() == {"validation_split", "test_split"}


@pytest.mark.parametrize("value", ["nan", "inf", float("nan"), "1e999"])
def test_numbers_are_finite(value: Any) -> None:
    assert problems(learning_rate=value).keys() == {"learning_rate"}


@pytest.mark.parametrize(
    ("field", "value", "setting"),
    [("epochs", 501, "EPOCHS"), ("batch_size", 1001, "BATCH_SIZE"), ("x_columns", ["a", "b", "c", "d"], "COLUMNS")],
)
def test_limits_of_the_settings_hold_and_are_named(field: str, value: Any, setting: str) -> None:
    assert f"(MAX_{setting})" in problems(**{field: value})[field][0]


def test_a_feature_named_twice_is_refused() -> None:
    assert "a" in problems(x_columns=["a", "c", "a"])["x_columns"][0]


@pytest.mark.parametrize("name", ["adam", "Adam", "AdamW", "sgd", "RMSprop", "rmsprop"])
def test_optimizers_are_known_by_class_and_snake_name(name: str) -> None:
    assert parse(optimizer=name).optimizer == name


@pytest.mark.parametrize("name", ["mse", "MSE", "mean_squared_error", "MeanSquaredError", "kld", "huber", "Huber"])
def test_losses_are_known_by_class_snake_name_and_alias(name: str) -> None:
    assert parse(loss=name).loss == name


def test_unknown_names_are_refused_under_their_field() -> None:
    found = problems(optimizer="adamant", loss="mean", metrics=["accuracy", "acc", "mae", "AUC", "luck"])
    assert found.keys() == {"optimizer", "loss", "metrics"}
    assert "luck" in found["metrics"][0] and "mae" not in found["metrics"][0]
