"""What a job's `result` holds once it has ended, and what its artifacts and exports are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Artifact:
    """A file that a training leaves: its name at the child and in Blob Storage, and its media type."""

    file: str
    content_type: str

    def download_name(self, job_id: str) -> str:
        return f"job_{job_id}_{self.file}"


# By the `type` of the API's artifact path.
ARTIFACTS = {
    "final": Artifact("model.keras", "application/zip"),
    "best": Artifact("best_model.keras", "application/zip"),
    "log": Artifact("training_log.csv", "text/csv"),
    "preparation": Artifact("preparation.json", "application/json"),
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


def partial_result(dataset: dict[str, Any], history: dict[str, Any]) -> dict[str, Any]:
    """The result if the job ended now: what is known of the data and of the epochs done."""
    return {"history": history, "dataset": dataset}


def final_result(dataset: dict[str, Any], finished: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """The result of a whole training; `names` are the blobs of the artifacts by type."""
    rest = {key: value for key, value in finished.items() if key != "artifacts"}
    return {
        **partial_result(dataset, {}),
        **rest,
        "best_model_artifact": names.get("best"),
        "training_log_artifact": names.get("log"),
    }
