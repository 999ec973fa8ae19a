"""The named steps of the engine, at any of which a test can have the process end as by SIGKILL.

A call whose arguments hold `"kill_at": {"step": NAME, "nth": 1}` ends at the nth time it passes that step.
Only the tests of exact resume send this; in production nothing is ever armed and passing a step costs a comparison.
"""

import os
import signal
from typing import Any

STEPS = (
    "prepare-begun",
    "prepare-block-read",
    "prepare-arrays-written",
    "prepare-manifest-written",
    "train-begun",
    "model-built",
    "state-restored",
    "chunk-trained",
    "epoch-fitted",
    "chunk-validated",
    "epoch-validated",
    "callbacks-called",
    "checkpoint-begun",
    "checkpoint-arrays-written",
    "checkpoint-manifest-written",
    "checkpoint-renamed",
    "checkpoint-older-removed",
    "training-finalised",
    "slice-ended",
    "finish-begun",
    "finish-evaluated",
    "finish-model-written",
    "finish-artifacts-written",
)

_armed: dict[str, int] = {}


def arm(request: dict[str, Any] | None) -> None:
    """Arms the step that this call's arguments ask for, and disarms any other."""
    _armed.clear()
    if request is not None:
        if request["step"] not in STEPS:
            raise ValueError(f"There is no step '{request['step']}'.")
        _armed[request["step"]] = request.get("nth", 1)


def passed(step: str) -> None:
    """Marks that this step has just been done."""
    if step in _armed:
        _armed[step] -= 1
        if _armed[step] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
