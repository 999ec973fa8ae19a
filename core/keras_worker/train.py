"""The command `train`: one slice of a training."""

import time
from dataclasses import replace
from typing import Any

from core.keras_worker.commands import Call
from core.keras_worker.kill_points import passed
from core.keras_worker.progress import Progress, without_nan
from core.keras_worker.session import leave_training, take_training
from core.keras_worker.training import Reporting


def train(call: Call) -> dict[str, Any]:
    """Goes on from the newest good checkpoint in `work/checkpoints/`, or begins, for `seconds` (null: to the end),
    stopping between batches. However few the seconds, some batches are done: slice after slice, it comes to its end.

    Arguments: `work`, `graph`, `params`, `seconds`, `threads`, `seed`. Events: `progress` and `checkpoint` (`name`, a
    folder in `checkpoints/`). Returns `outcome` ("continue", "done" or "cancelled"), `epoch` (finished ones), `epochs`
    and `history` (null for NaN).
    """
    seconds = call.arguments["seconds"]
    deadline = time.monotonic() + seconds if seconds is not None else None
    passed("train-begun")
    training = take_training(call.arguments)
    epochs = training.params["epochs"]
    first = replace(training.position)

    def stop() -> bool:
        late = deadline is not None and time.monotonic() >= deadline
        return call.cancelled or (late and training.position != first)

    training.advance(
        Reporting(
            stop=stop,
            progress=Progress(call, epochs),
            saved=lambda name: call.emit({"event": "checkpoint", "name": name}),
        )
    )
    leave_training(call.arguments, training)
    passed("slice-ended")
    outcome = "done" if training.done else "cancelled" if call.cancelled else "continue"
    epoch = training.position.epoch + (1 if training.done else 0)
    return {"outcome": outcome, "epoch": epoch, "epochs": epochs, "history": without_nan(training.history)}
