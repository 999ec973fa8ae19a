"""What goes over HTTP of trainings, as clients are told it."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from core.base.description import File, Id, Timestamp
from core.training.parameters import TrainingParameters

# What Keras says of an epoch; null where it was NaN or infinite.
Number = float | None
Label = str | int | float


class TrainingForm(TrainingParameters):
    """A dataset with the parameters of its training; lists as JSON text, or one field for each item."""

    file: Annotated[File, Field(description="A CSV file with a header.")]


class TakenLayer(TypedDict):
    """A layer that began with the import's weights."""

    layer: Annotated[str, Field(description="Its name in the network; inside a nested model after that model's name.")]
    parameters: int


class LeftLayer(TypedDict):
    """A layer of the network that began afresh, or one of the import that the network has not."""

    layer: str
    reason: str


class InitialWeights(TypedDict):
    """What the training took of the weights it was to begin with."""

    taken: list[TakenLayer]
    not_taken: list[LeftLayer]
    parameters_taken: int
    parameters_total: int


class RunningResult(TypedDict):
    """What is known while a training waits or runs."""

    stage: NotRequired[Annotated[str, Field(description="What is being done, in words.")]]
    live: NotRequired[
        Annotated[
            dict[str, Number],
            Field(
                description="Numbers of the last finished epoch: `epoch`, `loss`, and each metric by Keras's name, "
                "those of the validation with `val_` before them."
            ),
        ]
    ]
    initial_weights: NotRequired[
        Annotated[InitialWeights, Field(description="Thirty layers of each list at most; the ended job has them all.")]
    ]


class Split(TypedDict):
    """Rows of each part."""

    train: int
    validation: int
    test: int


class FileFormat(TypedDict):
    """How the file is written."""

    encoding: str
    delimiter: str
    decimal_mark: str


class Histogram(TypedDict):
    """How often values lie between two edges; one edge more than counts."""

    counts: list[int]
    edges: list[float]


class Column(TypedDict):
    """A column of the dataset. Those of numbers have min, max and mean, those of texts their most frequent ones."""

    name: str
    type: Literal["number", "text"]
    missing: int
    distinct: Annotated[int | None, Field(description="Null beyond a thousand.")]
    min: NotRequired[Number]
    max: NotRequired[Number]
    mean: NotRequired[Number]
    most_frequent: NotRequired[dict[str, int]]
    treatment: NotRequired[Annotated[str, Field(description="What was done about gaps and scale, in words.")]]
    histogram: NotRequired[Histogram]


class ClassCount(TypedDict):
    """A class and how many rows are of it."""

    label: Label
    rows: int


class DatasetReport(TypedDict, total=False):
    """What was found in the file, and what was done about it."""

    rows: int
    split: Split
    format: FileFormat
    columns: list[Column]
    target: Column
    unused_columns: list[str]
    empty_rows: int
    rows_without_target: int
    classes: list[ClassCount]


class RocCurve(TypedDict):
    """False and true positive rates over falling thresholds, and the area below."""

    fpr: list[float]
    tpr: list[float]
    auc: float


class ExtendedEvaluation(TypedDict):
    """How a classifier does on the test rows."""

    confusion_matrix: Annotated[list[list[int]], Field(description="Rows: the true class; columns: the predicted one.")]
    classes: list[Label]
    roc_curve: NotRequired[RocCurve]


class ExportDetails(TypedDict):
    """What an exported file was found to be when it was compared with Keras."""

    bytes: int
    rows: Annotated[int, Field(description="Rows of the dataset that were compared.")]
    difference: Annotated[float, Field(description="The largest between an output and Keras's.")]
    tolerance: Annotated[float, Field(description="The largest that is allowed.")]
    note: NotRequired[Annotated[str, Field(description="What whoever uses the file must know.")]]


class EndedResult(TypedDict):
    """What a training leaves; a cancelled or failed one has the history of the epochs it came to."""

    history: Annotated[dict[str, list[Number]], Field(description="Loss and metrics by Keras's names, by epoch.")]
    evaluation: Annotated[dict[str, Number] | None, Field(description="Loss and metrics on the test rows.")]
    best_model_artifact: Annotated[str | None, Field(description="Storage key.")]
    training_log_artifact: Annotated[str | None, Field(description="Storage key.")]
    exports: Annotated[list[str], Field(description="Formats that the model was exported to.")]
    export_errors: Annotated[dict[str, str], Field(description="By format, why it could not be exported.")]
    export_details: Annotated[dict[str, ExportDetails], Field(description="By format, of those in `exports`.")]
    dataset: NotRequired[DatasetReport]
    initial_weights: NotRequired[InitialWeights]
    extended_evaluation: NotRequired[ExtendedEvaluation]
    notes: NotRequired[Annotated[list[str], Field(description="What a person should know of this training.")]]
    seed: NotRequired[int]
    threads: NotRequired[int]
    versions: NotRequired[dict[str, str]]
    data_sha256: NotRequired[str]
    files_removed_at: NotRequired[
        Annotated[Timestamp, Field(description="When model and logs had been kept long enough and were removed.")]
    ]


class JobView(TypedDict):
    """A training job."""

    id: Id
    graph: Id
    status: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    params: TrainingParameters
    result: EndedResult | RunningResult
    dataset_path: Annotated[str, Field(description="Storage key.")]
    artifact_path: Annotated[str, Field(description="Storage key of the final model; empty until there is one.")]
    progress: Annotated[float, Field(ge=0, le=1, description="Never falls.")]
    error: Annotated[str, Field(description="Why it failed, and what to do about it; empty otherwise.")]
    created_at: Timestamp
    updated_at: Timestamp
