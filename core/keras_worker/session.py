"""The training a child holds in memory between two commands of the same job, so that a slice boundary costs nothing."""

from pathlib import Path
from typing import Any

from core.keras_worker.checkpoint import newest_good_checkpoint, newest_name, remove_newer
from core.keras_worker.dataset import open_dataset
from core.keras_worker.initial_weights import initial_weights
from core.keras_worker.runtime import fix_threads
from core.keras_worker.training import Training, fingerprint

_held: dict[str, tuple[str, Training]] = {}


def take_training(arguments: dict[str, Any]) -> Training:
    """The job's training where its newest checkpoint is: from memory if this process left it there, else from the
    newest good checkpoint in the work folder, else at its beginning, with the initial weights if there are any.

    Thread counts are those of the checkpoint: a run keeps them wherever it goes on.
    """
    work = Path(arguments["work"])
    job = {name: arguments[name] for name in ("graph", "params", "seed", "threads")}
    data = open_dataset(work, job["params"])
    key = fingerprint(job, data)
    held_key, held = _held.pop("training", ("", None))
    checkpoints = work / "checkpoints"
    if held is not None and held_key == key and newest_name(checkpoints) == held.position.name:
        return held
    del held  # frees its memory before the next one is built
    checkpoint = newest_good_checkpoint(checkpoints)
    if checkpoint is not None and checkpoint.state["identity"]["job"] != key:
        checkpoint = None
    if checkpoint is not None:
        job["threads"] = checkpoint.state["identity"]["threads"]
    remove_newer(checkpoints, checkpoint.name if checkpoint is not None else "")
    fix_threads(job["threads"])
    return Training(job, data, checkpoints, checkpoint, initial_weights(work, job["params"]))


def leave_training(arguments: dict[str, Any], training: Training) -> None:
    """Keeps the training for the next command; its newest checkpoint must be of just this place."""
    job = {name: arguments[name] for name in ("graph", "params", "seed", "threads")}
    _held["training"] = (fingerprint(job, training.data), training)
