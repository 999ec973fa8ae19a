"""The network of a training: built from its graph, seeded, and compiled as the parameters say."""

from typing import Any

import keras

from core.keras_worker.build import build_model
from core.keras_worker.errors import Refused
from core.keras_worker.objective import make_loss, make_metrics
from core.keras_worker.optimizer import make_optimizer
from core.keras_worker.runtime import fresh_session


def make_model(graph: dict[str, Any], params: dict[str, Any], seed: int) -> keras.Model:
    """The compiled model with its initial weights: the same in every process for the same arguments.

    Raises Refused with all problems of the parameters at once, or with those of the graph.
    """
    fresh_session(seed)
    model = build_model(graph)
    problems: dict[str, Any] = {}
    parts: dict[str, Any] = {}
    for name, make in (("optimizer", make_optimizer), ("loss", make_loss), ("metrics", make_metrics)):
        try:
            parts[name] = make(params)
        except Refused as refusal:
            assert isinstance(refusal.problems, dict)
            problems |= refusal.problems
    if problems:
        raise Refused(problems)
    model.compile(**parts)
    return model
