"""What the outputs of a network say of its target: the likeliest class of a row, and the probability of each."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Outputs = NDArray[np.float32]

# Sums of thousands of float32 probabilities are off by so much at most.
_SUM_TOLERANCE = 1e-3


def class_numbers(target: dict[str, Any], outputs: Outputs) -> NDArray[np.int64] | None:
    """The place of each row's likeliest class in `target["classes"]`, −1 where an output is no number; None for what
    is no classifier. One unit stands for the second of two classes, and decides as Keras's BinaryAccuracy does."""
    count, units = len(target["classes"] or ()), outputs.shape[1]
    if count and units == count:
        numbers = outputs.argmax(axis=1)
    elif (count, units) == (2, 1):
        numbers = (outputs[:, 0] > 0.5).astype(np.int64)
    else:
        return None
    return np.where(np.isfinite(outputs).all(axis=1), numbers, -1)


def probabilities(target: dict[str, Any], outputs: Outputs) -> Outputs | None:
    """rows × classes, NaN in the rows whose outputs are no probabilities (the last layer has neither softmax nor
    sigmoid); None for what is no classifier."""
    if target["form"] == "number" or class_numbers(target, outputs) is None:
        return None
    units = outputs.shape[1]
    each = outputs if units == len(target["classes"]) else np.column_stack([np.float32(1) - outputs, outputs])
    with np.errstate(invalid="ignore"):
        fine = ((each >= 0) & (each <= 1)).all(axis=1) & (np.abs(each.sum(axis=1) - 1) <= _SUM_TOLERANCE)
    return np.where(fine[:, None], each, np.float32(np.nan))


def class_names(target: dict[str, Any]) -> list[str]:
    """The classes as names, in the order of the outputs."""
    return [str(label) for label in target["classes"]]
