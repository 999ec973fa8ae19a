"""The numbers of a finished training on its test rows: loss and metrics, and for classes a confusion matrix and ROC."""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from core.keras_worker.dataset import Dataset, Indices
from core.keras_worker.training import Training

_CHUNK_ROWS = 4096
# Enough for a curve as wide as a screen; more points only make the answer long.
_ROC_POINTS = 200
_MOST_CLASSES = 100


def evaluate(training: Training) -> dict[str, Any] | None:
    """What `model.evaluate` gives on the test rows with the training's batch size; None without test rows."""
    rows = training.data.split.test
    if len(rows) == 0:
        return None
    size = training.params["batch_size"]
    training.model.reset_metrics()
    step = size * max(1, _CHUNK_ROWS // size)
    for start in range(0, len(rows), step):
        training.test(training.data.rows(rows[start : start + step], weighted=False), size)
    return training.metrics()


def extended_evaluation(training: Training) -> dict[str, Any] | None:
    """`confusion_matrix` (rows: true class, columns: predicted), `classes`, and for two classes `roc_curve`; None for
    other targets, without test rows, or with so many classes that nobody could read a matrix of them."""
    data = training.data
    classes = data.target["classes"]
    if classes is None or data.target["form"] == "number" or len(data.split.test) == 0 or len(classes) > _MOST_CLASSES:
        return None
    scores = _predict(training.model, data, data.split.test)
    truth = data.y[data.split.test]
    if scores.shape[1] == 1:
        predicted, positive = (scores[:, 0] > 0.5).astype(int), scores[:, 0]
    else:
        predicted, positive = scores.argmax(axis=1), scores[:, 1]
    matrix = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(matrix, (truth, predicted), 1)
    result: dict[str, Any] = {"confusion_matrix": matrix.tolist(), "classes": classes}
    if len(classes) == 2 and 0 < truth.sum() < len(truth) and np.isfinite(positive).all():
        result["roc_curve"] = _roc_curve(truth, positive)
    return result


def _predict(model: keras.Model, data: Dataset, rows: Indices) -> NDArray[np.float32]:
    chunks = [
        model.predict_on_batch(data.rows(rows[start : start + _CHUNK_ROWS], weighted=False)[0])
        for start in range(0, len(rows), _CHUNK_ROWS)
    ]
    return np.concatenate(chunks)


def _roc_curve(truth: NDArray[Any], score: NDArray[np.float32]) -> dict[str, Any]:
    """False and true positive rates over falling thresholds, and the area by trapezoids over all of them."""
    order = np.argsort(-score, kind="stable")
    falling, positives = score[order], truth[order].cumsum()
    last_of_each = np.flatnonzero(np.append(np.diff(falling) != 0, True))
    true_positive = np.concatenate([[0.0], positives[last_of_each] / positives[-1]])
    negatives = 1 + last_of_each - positives[last_of_each]
    false_positive = np.concatenate([[0.0], negatives / negatives[-1]])
    area = float(np.trapezoid(true_positive, false_positive))
    shown = np.unique(np.linspace(0, len(true_positive) - 1, _ROC_POINTS).astype(int))
    return {"fpr": false_positive[shown].tolist(), "tpr": true_positive[shown].tolist(), "auc": area}
