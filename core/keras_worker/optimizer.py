"""The optimizer a training uses: clipping, learning rate and its schedule, moving averages."""

import inspect
from typing import Any

import keras

from core.keras_worker.errors import Refused
from core.keras_worker.names import optimizer_class

_CONSTANT = ("", "constant", "none")


def make_optimizer(params: dict[str, Any]) -> keras.Optimizer:
    """The optimizer as the parameters describe it.

    `lr_decay_steps` counts batches. Raises Refused with one entry a field for combinations that Keras cannot do.
    """
    cls = optimizer_class(params["optimizer"])
    problems: dict[str, list[str]] = {}
    if params["clipnorm"] is not None and params["clipvalue"] is not None:
        sentence = "Give either clipnorm or clipvalue: Keras clips gradients in one way only."
        problems["clipnorm"] = problems["clipvalue"] = [sentence]
    if params["reduce_lr"] and _plain(params["lr_schedule"]) not in _CONSTANT:
        problems["reduce_lr"] = ["A learning rate that follows a schedule cannot be reduced as well: turn one off."]
    arguments = {name: params[name] for name in ("clipnorm", "clipvalue") if params[name] is not None}
    arguments |= _moving_average(params)
    try:
        arguments |= _learning_rate(cls, params)
    except Refused as refusal:
        problems |= refusal.problems if isinstance(refusal.problems, dict) else {}
    if problems:
        raise Refused(problems)
    try:
        return cls(**arguments)
    except (TypeError, ValueError) as error:
        raise Refused({"optimizer": [f"{cls.__name__} cannot be used with these settings: {error}"]}) from error


def _moving_average(params: dict[str, Any]) -> dict[str, Any]:
    """Optional parameters beyond the contract, by the names of Keras's optimizers."""
    names = ("use_ema", "ema_momentum", "ema_overwrite_frequency")
    return {name: params[name] for name in names if params.get(name) is not None}


def _learning_rate(cls: type[keras.Optimizer], params: dict[str, Any]) -> dict[str, Any]:
    schedule = _plain(params["lr_schedule"])
    if schedule in _CONSTANT:
        return {} if params["learning_rate"] is None else {"learning_rate": params["learning_rate"]}
    first = params["learning_rate"]
    if first is None:
        first = inspect.signature(cls).parameters["learning_rate"].default
    steps, rate = params["lr_decay_steps"], params["lr_decay_rate"]
    schedules = keras.optimizers.schedules
    match schedule:
        case "exponential" | "exponentialdecay":
            return {"learning_rate": schedules.ExponentialDecay(first, steps, rate)}
        case "step" | "staircase" | "stepdecay":
            return {"learning_rate": schedules.ExponentialDecay(first, steps, rate, staircase=True)}
        case "cosine" | "cosinedecay" | "cosineannealing":
            return {"learning_rate": schedules.CosineDecay(first, steps)}
        case "cosinerestarts" | "cosinedecayrestarts":
            return {"learning_rate": schedules.CosineDecayRestarts(first, steps)}
        case "inversetime" | "inversetimedecay":
            return {"learning_rate": schedules.InverseTimeDecay(first, steps, rate)}
        case "polynomial" | "polynomialdecay" | "linear":
            return {"learning_rate": schedules.PolynomialDecay(first, steps)}
        case _:
            known = "constant, exponential, step, cosine, cosine_restarts, inverse_time, polynomial"
            raise Refused({"lr_schedule": [f"'{params['lr_schedule']}' is not known; choose one of {known}."]})


def _plain(name: str | None) -> str:
    return (name or "").replace("_", "").replace("-", "").replace(" ", "").lower()
