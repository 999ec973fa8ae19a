"""The loss, the metrics, and the form in which the loss takes its targets."""

from typing import Any, Literal

import keras

from core.keras_worker.aliases import ACCURACY, plain
from core.keras_worker.errors import Refused
from core.keras_worker.names import loss_class, metric_class

# index: class numbers; one_hot: one column a class; binary: 0 or 1; number: as they are.
TargetForm = Literal["index", "one_hot", "binary", "number"]

_FORMS: dict[str, TargetForm] = {
    "SparseCategoricalCrossentropy": "index",
    "CategoricalCrossentropy": "one_hot",
    "CategoricalFocalCrossentropy": "one_hot",
    "BinaryCrossentropy": "binary",
    "BinaryFocalCrossentropy": "binary",
}
_ACCURACIES: dict[TargetForm, str] = {
    "index": "sparse_categorical_accuracy",
    "one_hot": "categorical_accuracy",
    "binary": "binary_accuracy",
}


def target_form(params: dict[str, Any]) -> TargetForm:
    """How the targets are given to this loss; asking for one-hot labels wins."""
    form = _FORMS.get(loss_class(params["loss"]).__name__, "number")
    if params["y_one_hot"] and form != "index":
        return "one_hot"
    return form


def resolve_metric_name(name: str, form: TargetForm) -> str | None:
    """ "accuracy" under the name of the kind that fits the targets; None where there is no such thing."""
    if _is_accuracy(name):
        return _ACCURACIES.get(form)
    return name


def resolve_monitor(name: str, form: TargetForm) -> str:
    """A monitored quantity by the name it has in the logs."""
    prefix, bare = ("val_", name[4:]) if name.startswith("val_") else ("", name)
    if bare == "loss":
        return name
    resolved = resolve_metric_name(bare, form)
    try:
        return prefix + (metric_class(resolved)().name if resolved else bare)
    except (Refused, TypeError):
        return name


def make_loss(params: dict[str, Any]) -> keras.Loss:
    """The loss with Keras's defaults. Raises Refused if it cannot do without arguments."""
    cls = loss_class(params["loss"])
    try:
        return cls()
    except TypeError as error:
        raise Refused(
            {"loss": [f"{cls.__name__} needs arguments that cannot be given here; choose another."]}
        ) from error


def make_metrics(params: dict[str, Any]) -> list[keras.Metric]:
    """Each metric once, under Keras's own name. Raises Refused for one that needs arguments."""
    for name in params["metrics"]:
        if not _is_accuracy(name):
            metric_class(name)  # an unknown name is told even where the loss is unknown too
    form = target_form(params)
    names = [resolve_metric_name(name, form) for name in params["metrics"]]
    classes = dict.fromkeys(metric_class(name) for name in names if name is not None)
    metrics: list[keras.Metric] = []
    for cls in classes:
        try:
            metrics.append(cls())
        except TypeError as error:
            sentence = f"{cls.__name__} needs arguments that cannot be given here; leave it out."
            raise Refused({"metrics": [sentence]}) from error
    return metrics


def _is_accuracy(name: str) -> bool:
    return plain(name) in ACCURACY
