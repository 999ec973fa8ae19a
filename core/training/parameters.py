"""What a training can be told (section 6 of the API): typed, with defaults, checked all at once.

The canvas sends form strings through one door and JSON through the other, so every value is read
leniently: `"32"` is a number, `"yes"` a boolean, `'["a"]'` a list, `""` nothing at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

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
    return value.strip() if isinstance(value, str) else value


Names = Annotated[list[Annotated[str, Field(min_length=1)]], BeforeValidator(_list)]
Count = Annotated[int, BeforeValidator(_number)]
Real = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Fraction = Annotated[Real, Field(ge=0, le=1)]
Patience = Annotated[Count, Field(ge=0)]
Positive = Annotated[Real, Field(gt=0)]
Text = Annotated[str, Field(min_length=1, max_length=256)]


class TrainingParameters(BaseModel):
    """The typed parameters of a training job; names this class does not declare are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True)

    x_columns: Names = Field(min_length=1)
    y_column: Text
    optimizer: Text = "adam"
    loss: Text = "mse"
    metrics: Names = []
    epochs: Annotated[Count, Field(ge=1)] = 100
    batch_size: Annotated[Count, Field(ge=1)] = 25
    validation_split: Fraction = 0.1
    test_split: Fraction = 0.1
    y_one_hot: bool = False
    learning_rate: Positive | None = None
    shuffle: bool = True
    validation_batch_size: Annotated[Count, Field(ge=1)] | None = None

    early_stopping: bool = False
    es_monitor: Text = "val_loss"
    es_mode: Literal["auto", "min", "max"] = "auto"
    es_patience: Patience = 5
    es_min_delta: Annotated[Real, Field(ge=0)] = 0.0
    es_restore_best_weights: bool = True

    reduce_lr: bool = False
    rlrop_monitor: Text = "val_loss"
    rlrop_factor: Annotated[Real, Field(gt=0, lt=1)] = 0.1
    rlrop_patience: Patience = 3
    rlrop_min_lr: Annotated[Real, Field(ge=0)] = 1e-6

    save_best_model: bool = False
    save_training_logs: bool = False

    clipnorm: Positive | None = None
    clipvalue: Positive | None = None
    auto_balance: bool = False
    use_ema: bool = False
    ema_momentum: Annotated[Real, Field(ge=0, lt=1)] = 0.99
    ema_overwrite_frequency: Annotated[Count, Field(ge=1)] | None = None
    lr_schedule: Text = "constant"
    lr_decay_steps: Annotated[Count, Field(ge=1)] = 1000
    lr_decay_rate: Positive = 0.96

    seed: Annotated[Count, Field(ge=0, le=2**31 - 1)] = 42
    standardize: bool = False


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
