"""The command `finish`: evaluates a trained network and writes its artifacts."""

import json
import math
from pathlib import Path
from typing import Any

from core.keras_worker.artifacts import save_best_model, save_model, write_log, write_sample
from core.keras_worker.commands import Call
from core.keras_worker.evaluation import evaluate, extended_evaluation
from core.keras_worker.kill_points import passed
from core.keras_worker.progress import without_nan
from core.keras_worker.runtime import versions
from core.keras_worker.session import take_training
from core.keras_worker.training import Training


def finish(call: Call) -> dict[str, Any]:
    """Arguments: `work`, `graph`, `params`, `threads`, `seed`; the newest checkpoint must be of the training's end.

    Returns `history`, `evaluation` (null without test rows), `artifacts` (file names in `work/artifacts/` by type),
    `notes` (sentences for the person), `seed`, `threads`, `versions`, `data_sha256`, and `extended_evaluation` for
    classes. Running it again gives the same.
    """
    passed("finish-begun")
    training = take_training(call.arguments)
    if not training.done:
        raise RuntimeError("The training has not come to its end.")
    result: dict[str, Any] = {"history": training.history, "evaluation": evaluate(training)}
    extended = extended_evaluation(training)
    if extended is not None:
        result["extended_evaluation"] = extended
    passed("finish-evaluated")
    result["artifacts"] = _write_artifacts(training, Path(call.arguments["work"]) / "artifacts")
    passed("finish-artifacts-written")
    result |= {
        "notes": _notes(training),
        "seed": call.arguments["seed"],
        "threads": training.threads,
        "versions": versions(),
        "data_sha256": training.data.manifest["data_sha256"],
    }
    return without_nan(result)


def _write_artifacts(training: Training, folder: Path) -> dict[str, str]:
    folder.mkdir(parents=True, exist_ok=True)
    preparation = training.data.manifest["preparation"]
    (folder / "preparation.json").write_text(json.dumps(preparation), encoding="utf-8")
    written = {"final": "model.keras", "preparation": "preparation.json", "sample": "sample.npy"}
    write_sample(training.data, folder / written["sample"])
    save_model(training.model, preparation, folder / written["final"])
    passed("finish-model-written")
    if training.best_weights is not None:
        written["best"] = "best_model.keras"
        save_best_model(training.model, training.best_weights, preparation, folder / written["best"])
    if training.params["save_training_logs"]:
        written["log"] = "training_log.csv"
        write_log(training.history, folder / written["log"])
    return written


def _notes(training: Training) -> list[str]:
    notes: list[str] = []
    losses = training.history.get("loss", [])
    diverged = [epoch for epoch, loss in enumerate(losses, start=1) if not math.isfinite(loss)]
    if diverged:
        notes.append(
            f"The training diverged: the loss was no finite number from epoch {diverged[0]} on. Use a smaller learning "
            "rate, clip the gradients, or standardise the columns."
        )
    watchers = {"early_stopping": "es_monitor", "reduce_lr": "rlrop_monitor"}
    for watcher, monitor in watchers.items():
        if training.params[watcher] and training.params[monitor].startswith("val_") and not training.validates:
            notes.append(f"{watcher} watches {training.params[monitor]}, but without validation rows it never acts.")
    notes += _note_on_weights(training.data.manifest["result"].get("initial_weights"))
    target = training.data.target
    if target["form"] == "number" and target["classes"] is not None:
        notes.append(f"The texts in '{target['name']}' were numbered in alphabetical order and learnt as numbers.")
    return notes


def _note_on_weights(taken: dict[str, Any] | None) -> list[str]:
    if taken is None or taken["parameters_taken"] == taken["parameters_total"]:
        return []
    return [
        f"{taken['parameters_taken']:,} of {taken['parameters_total']:,} parameters began with the import's weights, "
        "the others afresh; initial_weights names the layers."
    ]
