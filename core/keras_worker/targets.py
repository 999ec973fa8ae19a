"""The column to predict: labels become class numbers, and what does not fit the loss or the network is said at once."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from core.keras_worker.objective import TargetForm, make_metrics, resolve_monitor, target_form

_MOST_CLASSES = 10_000


@dataclass(frozen=True)
class Target:
    """`numbers`: class numbers (int32) where `classes` is given, else the values (float32)."""

    form: TargetForm
    classes: list[Any] | None
    numbers: NDArray[Any]


def encode_target(values: NDArray[np.float64], categories: list[str] | None, form: TargetForm) -> Target:
    """`values`: one a row, none missing; codes of `categories` if the column holds texts.

    Labels of classes become their place among the sorted different ones. So do texts for a loss of numbers.
    """
    if categories is not None:
        return Target(form, categories, values.astype(np.int32))
    if form == "number":
        return Target(form, None, values.astype(np.float32))
    labels, numbers = np.unique(values, return_inverse=True)
    classes = [int(label) if label.is_integer() else float(label) for label in labels.tolist()]
    return Target(form, classes, numbers.astype(np.int32))


def target_problems(target: Target, column: str, params: dict[str, Any], outputs: tuple[int | None, ...]) -> list[str]:
    """All the ways in which target, loss and the network's output shape (without the batch) do not go together, each
    with how to mend it."""
    problems: list[str] = []
    count = len(target.classes) if target.classes is not None else 0
    units = outputs[-1] if outputs else None
    many = f"Column '{column}' has {count:,} different values"
    if target.form == "index" and params["y_one_hot"]:
        problems.append("Sparse categorical cross-entropy takes whole-number labels: turn y_one_hot off.")
    if target.form in ("index", "one_hot"):
        broken = [label for label in target.classes or [] if isinstance(label, float)]
        if broken:
            problems.append(
                f"Column '{column}' must hold class labels, but holds numbers such as {broken[0]}: choose a regression "
                "loss such as MeanSquaredError, or another column."
            )
        elif count > _MOST_CLASSES:
            problems.append(f"{many}, too many for classes: choose a regression loss, or another column.")
        elif count < 2:
            problems.append(f"{many}: classification needs at least two.")
        elif units != count:
            problems.append(
                f"{many}, but the network's output has {units} units: give the last layer {count} units (with softmax)."
            )
    elif target.form == "binary":
        if count != 2:
            problems.append(
                f"{many}, but binary cross-entropy needs exactly two: choose a categorical cross-entropy, or another "
                "column."
            )
        if units != 1:
            problems.append(
                f"Binary cross-entropy needs one output, but the network has {units} units: give the last layer one "
                "unit (with sigmoid)."
            )
    elif units != 1:
        problems.append(
            f"With the loss {params['loss']} the network must give one number a row, but its output has {units} units: "
            "give the last layer one unit, or choose a loss for classes."
        )
    if len(outputs) > 1:
        problems.append(f"The network's output has {len(outputs)} dimensions: end it with Flatten and a Dense layer.")
    return problems


def input_problems(model: keras.Model, features: int) -> list[str]:
    """What keeps the network from taking a row of `features` numbers, or giving one output."""
    problems: list[str] = []
    if len(model.inputs) != 1:
        problems.append(f"The network has {len(model.inputs)} inputs; a table can feed only one.")
    elif len(model.inputs[0].shape) != 2 or model.inputs[0].shape[1] not in (features, None):
        wanted = tuple(model.inputs[0].shape[1:])
        problems.append(
            f"The network's input has the shape {wanted}, but {features} feature columns are chosen: set the shape of "
            f"the Input to ({features},), and follow it with a Reshape layer where other dimensions are needed."
        )
    if len(model.outputs) != 1:
        problems.append(f"The network has {len(model.outputs)} outputs; it must have one for the target column.")
    return problems


def resolve_monitors(params: dict[str, Any]) -> dict[str, Any]:
    """The parameters with monitored quantities by the names that the logs use ("val_accuracy" depends on the loss)."""
    form = target_form(params)
    names = ("es_monitor", "rlrop_monitor")
    return params | {name: resolve_monitor(params[name], form) for name in names}


def monitor_problems(params: dict[str, Any]) -> list[str]:
    """Monitored quantities that this training never computes."""
    known = ["loss", *(metric.name for metric in make_metrics(params))]
    watched = {"es_monitor": params["early_stopping"], "rlrop_monitor": params["reduce_lr"]}
    return [
        f"{name} is '{params[name]}', which is not computed: choose among {', '.join(known)}, "
        "or these with val_ before."
        for name, used in watched.items()
        if used and params[name].removeprefix("val_") not in known
    ]
