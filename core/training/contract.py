"""The operations on training jobs, as clients are told them."""

from __future__ import annotations

from typing import Any

from core.base.description import FORM, JSON, Answer, Body, Description
from core.training.parameters import TrainingParameters
from core.training.shapes import JobView, TrainingForm
from core.uploads.shapes import Presigned, presigned_example

TAG = "Training"
JOB_ID = "fe5dfac8-c684-82a5-bead-177f6c32b1d4"
_KEY = f"85a4d1169f78daf9c0014d2ce113cde3/{JOB_ID}"
_SENT = {
    "x_columns": ["rooms", "area"],
    "y_column": "price",
    "optimizer": "adam",
    "loss": "mse",
    "metrics": ["mean_absolute_error"],
    "epochs": 20,
    "batch_size": 32,
}
_QUEUED: dict[str, Any] = {
    "id": JOB_ID,
    "graph": "0f8b6c1e-6a4f-4f0e-9a57-1c2d3e4f5a6b",
    "status": "queued",
    "params": TrainingParameters.model_validate(_SENT).model_dump(mode="json"),
    "result": {},
    "dataset_path": f"{_KEY}/source.csv",
    "artifact_path": "",
    "progress": 0.0,
    "error": "",
    "created_at": "2026-05-04T09:30:00.000000Z",
    "updated_at": "2026-05-04T09:30:00.000000Z",
}
_RUNNING = {
    **_QUEUED,
    "status": "running",
    "result": {
        "stage": "Training",
        "live": {
            "epoch": 3,
            "loss": 0.41,
            "mean_absolute_error": 0.52,
            "val_loss": 0.43,
            "val_mean_absolute_error": 0.55,
        },
    },
    "progress": 0.185,
}
_SUCCEEDED = {
    **_QUEUED,
    "status": "succeeded",
    "result": {
        "history": {"loss": [0.9, 0.5], "val_loss": [0.8, 0.6]},
        "evaluation": {"loss": 0.55, "mean_absolute_error": 0.6},
        "best_model_artifact": None,
        "training_log_artifact": None,
        "exports": ["tflite"],
        "export_errors": {"onnx": "ONNX has no Bucketize, which this network needs (layer discretization). …"},
        "export_details": {"tflite": {"bytes": 5384, "rows": 64, "difference": 2.4e-7, "tolerance": 0.00021}},
        "dataset": {"rows": 500, "split": {"train": 400, "validation": 50, "test": 50}},
        "notes": [],
        "seed": 42,
        "threads": 2,
        "versions": {"python": "3.11.9", "keras": "3.12.4", "tensorflow": "2.20.0", "numpy": "2.4.6"},
        "data_sha256": "fbdbf8d8c46c32bb3c9e33f5030b6c1ec453a821b3d3bc62fa52c4503105449e",
    },
    "artifact_path": f"{_KEY}/model.keras",
    "progress": 1.0,
}
_REFUSED = "A parameter is wrong, each under its name; or the graph cannot be built."
_PENDING = "As many trainings as a user may have are queued or running; wait for one to end, or cancel one."
_MOST_RUNNING = "As many trainings as a user may have are running; this one stays queued and starts when one has ended."
_STARTED = Answer.json("It waits or runs, by this call or an earlier one.", JobView, _QUEUED, "Location")

PRESIGN = Description(
    TAG,
    "Make a training and a link for its dataset",
    {
        201: Answer.json(
            "The job, and where to PUT the CSV.", Presigned, presigned_example(JOB_ID, f"uploads/{_KEY}"), "Location"
        )
    },
    "The training starts when the file has arrived, or by `start`. Values may be sent as text, as forms send them; "
    "empty ones count as left out. Names that are not listed here are ignored.",
    reads={JSON: Body(TrainingParameters, _SENT)},
    refusals={400: _REFUSED, 429: _PENDING},
)
TRAIN = Description(
    TAG,
    "Train on a small dataset at once",
    {202: _STARTED},
    "Larger files go through `presign-upload`. Empty fields count as left out.",
    reads={FORM: Body(TrainingForm)},
    refusals={400: f"{_REFUSED} Or the file is no CSV that has these columns.", 429: _PENDING},
)
LIST = Description(
    TAG, "List your trainings", {200: Answer.json("Your jobs, newest first.", list[JobView], [_SUCCEEDED])}
)
READ = Description(
    TAG,
    "Read a training",
    {200: Answer.json("The job.", JobView, _RUNNING)},
    "Made to be polled: `result.live` holds the last finished epoch.",
)
START = Description(
    TAG,
    "Start a training",
    {202: _STARTED},
    "Harmless when it has started already, by its upload or by another call.",
    refusals={
        400: "The dataset has not arrived (`nothing_uploaded`), or the training has ended (`wrong_state`).",
        429: _MOST_RUNNING,
    },
)
CANCEL = Description(
    TAG,
    "Cancel a training",
    {
        202: Answer.json("It ends within a second or so, with the history so far.", JobView, _RUNNING),
        200: Answer.json("It had ended already.", JobView, _SUCCEEDED),
    },
)
