"""What the parent is told while a command runs: at most one event a second, plus one for each finished epoch."""

import math
import time
from typing import Any

from core.keras_worker.commands import Call

_INTERVAL_SECONDS = 1.0


class Progress:
    """Sends progress of the fitting."""

    def __init__(self, call: Call, epochs: int) -> None:
        self._call = call
        self._epochs = epochs
        self._sent = time.monotonic()

    def batches_done(self, epoch: int, fraction: float) -> None:
        """`epoch` from 0; `fraction` of it that is done."""
        if time.monotonic() - self._sent >= _INTERVAL_SECONDS:
            self._send(epoch, epoch + fraction, {})

    def epoch_done(self, epoch: int, logs: dict[str, float]) -> None:
        """The final numbers of a finished epoch."""
        self._send(epoch, epoch + 1, {"live": {"epoch": epoch + 1} | without_nan(logs)})

    def _send(self, epoch: int, done: float, live: dict[str, Any]) -> None:
        self._sent = time.monotonic()
        event = {"event": "progress", "epoch": epoch + 1, "epochs": self._epochs, "done": done / self._epochs}
        self._call.emit(event | live)


class Stages:
    """Tells in words what is being done before the fitting."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._sent = -math.inf

    def tell(self, text: str) -> None:
        if time.monotonic() - self._sent >= _INTERVAL_SECONDS:
            self._sent = time.monotonic()
            self._call.emit({"event": "stage", "text": text})


def without_nan(value: Any) -> Any:
    """The same structure with null for NaN and infinities, which JSON cannot hold."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
