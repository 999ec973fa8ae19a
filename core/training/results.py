"""What a job's `result` holds once it has ended, and what its artifacts and exports are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Artifact:
    """A file that a training leaves: its name at the child and in Blob Storage, and a media type that browsers save."""

    file: str
    content_type: str

    def download_name(self, job_id: str) -> str:
        return f"job_{job_id}_{self.file}"


# By the `type` of the API's artifact path.
ARTIFACTS = {
    "final": Artifact("model.keras", "application/zip"),
    "best": Artifact("best_model.keras", "application/zip"),
    "log": Artifact("training_log.csv", "text/csv"),
    "preparation": Artifact("preparation.json", "application/octet-stream"),
    # Prepared rows of the dataset, against which exported files are checked.
    "sample": Artifact("sample.npy", "application/octet-stream"),
}

# What can be made of the final model when somebody asks for it (`core.serving.exports`), by format, which is the `type`
# of the artifact then.
EXPORTS = {
    "tflite": Artifact("model.tflite", "application/octet-stream"),
    "tflite_quantized": Artifact("model_quantized.tflite", "application/octet-stream"),
    "onnx": Artifact("model.onnx", "application/octet-stream"),
    "saved_model": Artifact("saved_model.zip", "application/zip"),
    "script": Artifact("predict.py", "text/x-python"),
}


# What is known before the first epoch, and stays in the result.
_KNOWN = ("dataset", "initial_weights")

# A job's row has room for so many layers of a report; the ended job's result has all of them.
_MOST_LIVE_LAYERS = 30
_LONGEST_LIVE_TEXT = 150


def partial_result(known: dict[str, Any], history: dict[str, Any]) -> dict[str, Any]:
    """The result if the job ended now: what is `known` of the data and the weights, and the epochs done."""
    return {"history": history, "dataset": {}, **{name: known[name] for name in _KNOWN if name in known}}


def live_weights(known: dict[str, Any]) -> dict[str, Any]:
    """What a running job shows of the weights it began with: the report as far as it fits into the row."""
    report = known.get("initial_weights")
    if report is None:
        return {}
    lists = {name: [_cut(entry) for entry in report[name][:_MOST_LIVE_LAYERS]] for name in ("taken", "not_taken")}
    return {"initial_weights": report | lists}


def _cut(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value[:_LONGEST_LIVE_TEXT] if isinstance(value, str) else value for name, value in entry.items()}


def final_result(known: dict[str, Any], finished: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """The result of a whole training; `names` are the blobs of the artifacts by type."""
    rest = {key: value for key, value in finished.items() if key != "artifacts"}
    return {
        **partial_result(known, {}),
        **rest,
        "best_model_artifact": names.get("best"),
        "training_log_artifact": names.get("log"),
    }
