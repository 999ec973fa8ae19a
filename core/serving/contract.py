"""The operations on what a finished training offers, as clients are told them."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from core.base.description import FORM, JSON, Answer, Body, Description, File, Parameter
from core.training.results import ARTIFACTS, EXPORTS

TAG = "Results"
ArtifactType = Annotated[str, Field(json_schema_extra={"enum": [*ARTIFACTS, *EXPORTS]})]
Cell = str | float | bool | None
Row = Annotated[list[Cell], Field(description="In the order of the training's x_columns.")]


class Link(TypedDict):
    """A time-limited link that saves a file."""

    url: str


class ExportRequest(TypedDict):
    """What to export a model to."""

    format: Annotated[str, Field(json_schema_extra={"enum": [*EXPORTS]})]


class ExportState(TypedDict):
    """How the export stands."""

    detail: Annotated[str, Field(description="A sentence for a person.")]


class Instances(TypedDict):
    """Rows as lists."""

    instances: Annotated[list[Row], Field(min_length=1)]


class Records(TypedDict):
    """Rows as objects, by column; other columns are ignored."""

    records: Annotated[list[dict[str, Any]], Field(min_length=1)]


class PredictionForm(TypedDict):
    """Rows as a CSV file."""

    file: Annotated[File, Field(description="A CSV whose header has the columns, in any order and among others.")]


class Predictions(TypedDict):
    """What the model says of each row; null where it is no finite number."""

    predictions: list[list[float | None]]
    labels: NotRequired[Annotated[list[str | float | None], Field(description="The likeliest class, for classifiers.")]]
    probabilities: NotRequired[
        Annotated[
            list[dict[str, float] | None],
            Field(
                description="Of each class by its name, for classifiers; null where the outputs are no probabilities."
            ),
        ]
    ]


ARTIFACT = Description(
    TAG,
    "Get a link to an artifact",
    {200: Answer.json("The link.", Link, {"url": "https://account.blob.core.windows.net/maid-artifacts/…?sp=r&sig=…"})},
    query=(Parameter("type", ArtifactType, "Which one; `final` if left out.", "final"),),
    refusals={404: "No such job, no such type, or this training has none of that type."},
)
PREDICT = Description(
    TAG,
    "Predict",
    {
        200: Answer.json(
            "One list for each row.",
            Predictions,
            {
                "predictions": [[0.91], [0.08]],
                "labels": ["yes", "no"],
                "probabilities": [{"no": 0.09, "yes": 0.91}, {"no": 0.92, "yes": 0.08}],
            },
        )
    },
    "Rows are prepared as those of the training were: texts become numbers, gaps are filled.",
    reads={
        JSON: Body(Instances | Records, {"instances": [[3, 71.5], [5, 140]]}),
        FORM: Body(PredictionForm),
    },
    refusals={
        400: "The training has not succeeded (`wrong_state`); or a row cannot be read, or there are too many, as the "
        "sentence says."
    },
)
EXPORT = Description(
    TAG,
    "Export the model",
    {
        202: Answer.json(
            "It is under way, or there already.", ExportState, {"detail": "The export as tflite is under way; …"}
        )
    },
    "However often it is asked for, it is made once; after a failure, asking again tries again. The job's "
    "`result.exports` names the formats that are ready, `artifact` of the same type downloads them, and "
    "`result.export_errors` says why one could not be made. Each file was compared with Keras on rows of the dataset.",
    reads={JSON: Body(ExportRequest, {"format": "tflite"})},
    refusals={400: "There is no such format, or the training has not succeeded (`wrong_state`)."},
)
