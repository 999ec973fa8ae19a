"""What a training can be told (section 6 of the API): typed, with defaults, checked all at once.

The canvas sends form strings through one door and JSON through the other, so every value is read
leniently: `"32"` is a number, `"yes"` a boolean, `'["a"]'` a list, `""` nothing at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from core.base.errors import BadRequest
from core.base.settings import Settings
from core.catalog.catalog import catalog
from core.keras_worker.aliases import ACCURACY, LOSSES, METRICS, plain


def _list(value: Any) -> Any:
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return []
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return [text]
    return [value] if isinstance(value, str | int | float) and not isinstance(value, bool) else value


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value)  # to pydantic it would be 1 or 0, to a person it is a mistake
    return value.strip() if isinstance(value, str) else value


# The bound stands before the reading, or the JSON schema would not have it.
_Name = Annotated[str, Field(min_length=1)]
Columns = Annotated[list[_Name], Field(min_length=1), BeforeValidator(_list)]
Names = Annotated[list[_Name], BeforeValidator(_list)]
AtLeastOne = Annotated[int, Field(ge=1), BeforeValidator(_number)]
Patience = Annotated[int, Field(ge=0), BeforeValidator(_number)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1), BeforeValidator(_number)]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), BeforeValidator(_number)]
Momentum = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False), BeforeValidator(_number)]
Factor = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False), BeforeValidator(_number)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(_number)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False), BeforeValidator(_number)]
Text = Annotated[str, Field(min_length=1, max_length=256)]


class TrainingParameters(BaseModel):
    """The typed parameters of a training job; names this class does not declare are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True)

    x_columns: Columns = Field(description="The columns to learn from, as the CSV's header names them.")
    y_column: Text = Field(description="The column to predict.")
    optimizer: Text = Field("adam", description="Any of the catalogue, by class name or Keras's short name.")
    loss: Text = Field("mse", description="Any of the catalogue, by class name or Keras's short name.")
    metrics: Names = Field([], description="Any of the catalogue; `accuracy` becomes the one that fits the loss.")
    epochs: AtLeastOne = Field(100, description="At most MAX_EPOCHS.")
    batch_size: AtLeastOne = Field(25, description="At most MAX_BATCH_SIZE.")
    validation_split: Fraction = Field(0.1, description="Share of the rows for validation after each epoch.")
    test_split: Fraction = Field(0.1, description="Share of the rows for the evaluation at the end.")
    y_one_hot: bool = Field(False, description="Class labels become one-hot; losses that need it do so by themselves.")
    learning_rate: Positive | None = Field(None, description="Instead of the optimizer's own.")
    shuffle: bool = Field(True, description="A new order of the rows in each epoch.")
    validation_batch_size: AtLeastOne | None = Field(None, description="Where it shall be another than `batch_size`.")

    early_stopping: bool = Field(False, description="End when the monitored number no longer improves.")
    es_monitor: Text = "val_loss"
    es_mode: Literal["auto", "min", "max"] = "auto"
    es_patience: Patience = Field(5, description="Epochs without an improvement.")
    es_min_delta: NotNegative = Field(0.0, description="What counts as an improvement.")
    es_restore_best_weights: bool = Field(True, description="Go back to the weights of the best epoch.")

    reduce_lr: bool = Field(False, description="Lower the learning rate when the monitored number no longer improves.")
    rlrop_monitor: Text = "val_loss"
    rlrop_factor: Factor = 0.1
    rlrop_patience: Patience = Field(3, description="Epochs without an improvement.")
    rlrop_min_lr: NotNegative = Field(1e-6, description="Never lower than this.")

    save_best_model: bool = Field(False, description="Keep the model of the best epoch as an artifact.")
    save_training_logs: bool = Field(False, description="Keep the numbers of all epochs as a CSV artifact.")

    clipnorm: Positive | None = Field(None, description="Clip each gradient to this norm.")
    clipvalue: Positive | None = Field(None, description="Clip each element of the gradients to this value.")
    auto_balance: bool = Field(False, description="Weigh rare classes more.")
    use_ema: bool = Field(False, description="Use moving averages of the weights.")
    ema_momentum: Momentum = 0.99
    ema_overwrite_frequency: AtLeastOne | None = Field(None, description="Every so many steps; unset: at the end.")
    lr_schedule: Text = Field("constant", description="How the learning rate falls; docs/training.md names the ways.")
    lr_decay_steps: AtLeastOne = Field(1000, description="Batches.")
    lr_decay_rate: Positive = 0.96

    seed: Seed = Field(42, description="Another seed, another initialisation and order.")
    standardize: bool = Field(False, description="Bring columns of numbers to mean 0 and deviation 1.")
    initial_weights: UUID | None = Field(
        None, description="An import of yours, with whose weights the training begins where they fit."
    )


def parse_parameters(values: Mapping[str, Any], settings: Settings) -> TrainingParameters:
    """The parameters in `values`. Raises BadRequest with every problem under its field's name."""
    given = {key: value for key, value in values.items() if not _unset(value)}
    problems: dict[str, list[str]] = {}
    try:
        parameters = TrainingParameters.model_validate(given)
    except ValidationError as error:
        for item in error.errors():
            problems.setdefault(str(item["loc"][0]), []).append(_sentence(item))
        raise BadRequest(problems) from None
    _check_limits(parameters, settings, problems)
    if problems:
        raise BadRequest(problems)
    return parameters


def _unset(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.strip().lower() in ("", "null", "none", "undefined"))


def _check_limits(parameters: TrainingParameters, settings: Settings, problems: dict[str, list[str]]) -> None:
    limits = {
        "epochs": (parameters.epochs, settings.max_epochs, "MAX_EPOCHS"),
        "batch_size": (parameters.batch_size, settings.max_batch_size, "MAX_BATCH_SIZE"),
        "validation_batch_size": (parameters.validation_batch_size or 1, settings.max_batch_size, "MAX_BATCH_SIZE"),
        "x_columns": (len(parameters.x_columns), settings.max_columns, "MAX_COLUMNS"),
    }
    for name, (value, limit, setting) in limits.items():
        if value > limit:
            problems[name] = [f"Ask for at most {limit:,} ({setting}); {value:,} were asked for."]
    if parameters.validation_split + parameters.test_split >= 1:
        text = "validation_split and test_split together must leave rows to train on: keep their sum below 1."
        problems["validation_split"] = problems["test_split"] = [text]
    for field, kind, names in (
        ("optimizer", "optimizers", [parameters.optimizer]),
        ("loss", "losses", [parameters.loss]),
        ("metrics", "metrics", parameters.metrics),
    ):
        if unknown := [name for name in names if not _is_known(kind, name)]:
            problems[field] = [f"Keras has none that is called {', '.join(unknown)}; choose from the list."]
    doubled = sorted({name for name in parameters.x_columns if parameters.x_columns.count(name) > 1})
    if doubled:
        problems["x_columns"] = [f"Each column can be a feature once; named twice: {', '.join(doubled)}."]


def _is_known(kind: str, name: str) -> bool:
    aliases = {"losses": LOSSES, "metrics": METRICS}.get(kind, {})
    if kind == "metrics" and plain(name) in ACCURACY:
        return True
    return catalog().find_any_case(kind, aliases.get(plain(name), name)) is not None


def _sentence(item: Any) -> str:
    """pydantic's finding in words for the person at the canvas."""
    context: dict[str, Any] = item.get("ctx", {})
    match item["type"]:
        case "missing":
            return "This is required."
        case "too_short" | "string_too_short":
            return "Name at least one."
        case "string_too_long":
            return f"At most {context['max_length']} characters."
        case "greater_than_equal":
            return f"Must be at least {context['ge']}."
        case "greater_than":
            return f"Must be greater than {context['gt']}."
        case "less_than_equal":
            return f"Must be at most {context['le']}."
        case "less_than":
            return f"Must be less than {context['lt']}."
        case "literal_error":
            return f"Must be one of {context['expected']}."
        case "finite_number":
            return "Must be a finite number."
        case kind if kind.startswith("uuid"):
            return "Must be the id of an import."
        case kind if kind.startswith("int"):
            return "Must be a whole number."
        case kind if kind.startswith(("float", "decimal")):
            return "Must be a number."
        case kind if kind.startswith("bool"):
            return "Must be true or false."
        case kind if kind.startswith("list"):
            return "Must be a list of names."
        case kind if kind.startswith("string"):
            return "Must be text."
        case _:
            return "This value cannot be used."
