"""The commands a child knows, by Keras backend, and what a running command is given."""

import importlib
import threading
from collections.abc import Callable
from typing import Any

from core.keras_worker.errors import Refused

# The modules are imported when first asked for: a spawned child answers "ready" before Keras is loaded.
_COMMANDS = {
    "tensorflow": {
        "prepare": "core.keras_worker.prepare",
        "train": "core.keras_worker.train",
        "finish": "core.keras_worker.finish",
        "predict": "core.keras_worker.predict",
        "export": "core.keras_worker.export",
        "predict_csv": "core.keras_worker.predict_csv",
    },
    "numpy": {"compile": "core.keras_worker.compile"},
    # No Keras at all: for what strangers uploaded.
    "none": {"read_model": "core.keras_worker.read_model"},
}


class Call:
    """One command under way in the child."""

    def __init__(
        self, number: int, command: str, arguments: dict[str, Any], send: Callable[[dict[str, Any]], None]
    ) -> None:
        self.number = number
        self.command = command
        self.arguments = arguments
        self._send = send
        self._cancelled = threading.Event()

    def emit(self, event: dict[str, Any]) -> None:
        """Sends an event to the parent; it has the key "event"."""
        self._send(event)

    def cancel(self) -> None:
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        """Whether the parent asked for an early end; commands look between batches."""
        return self._cancelled.is_set()


def find_command(name: str, backend: str) -> Callable[[Call], dict[str, Any]]:
    """The function named like its command in the command's module; raises Refused for an unknown name."""
    module = _COMMANDS[backend].get(name)
    if module is None:
        raise Refused(f"A {backend} child has no command '{name}'.")
    return getattr(importlib.import_module(module), name)


def preload(backend: str) -> None:
    """Imports what every command of this backend needs; runs no operation of TensorFlow."""
    for module in _COMMANDS[backend].values():
        importlib.import_module(module)
