"""The operations on batches of predictions, as clients are told them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

from core.base.description import Answer, Description, Id, Timestamp

TAG = "Results"
_ID = "fe5dfab3-7c0e-84a8-a0d8-f760bef058bc"


class BatchUpload(TypedDict):
    """A batch that waits for its CSV, and where to PUT it."""

    batch_id: Id
    upload_url: Annotated[str, Field(description="Takes one PUT of the file, and gives nothing back.")]
    headers: Annotated[dict[str, str], Field(description="To be sent with the PUT, beside a Content-Type.")]
    expires_at: Timestamp


class BatchView(TypedDict):
    """A CSV that is predicted row by row."""

    batch_id: Id
    job: Annotated[str, Field(description="The training whose model predicts.", json_schema_extra={"format": "uuid"})]
    status: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    progress: Annotated[float, Field(ge=0, le=1)]
    rows: Annotated[int, Field(ge=0, description="Rows predicted so far.")]
    error: Annotated[str, Field(description="Why it failed, and what to do about it; empty otherwise.")]
    created_at: Timestamp
    updated_at: Timestamp


class BatchOutput(BatchView):
    """A batch with the link to its output."""

    url: Annotated[
        str | None, Field(description="A time-limited link that saves the CSV with predictions, while there is one.")
    ]


_QUEUED: dict[str, Any] = {
    "batch_id": _ID,
    "job": "fe5dfac8-c684-82a5-bead-177f6c32b1d4",
    "status": "queued",
    "progress": 0.0,
    "rows": 0,
    "error": "",
    "created_at": "2026-05-04T09:30:00.000000Z",
    "updated_at": "2026-05-04T09:30:00.000000Z",
}
_SUCCEEDED = {**_QUEUED, "status": "succeeded", "progress": 1.0, "rows": 550_000}
_UPLOAD = {
    "batch_id": _ID,
    "upload_url": "https://account.blob.core.windows.net/uploads/…/rows.csv?sp=c&sig=…",
    "headers": {"x-ms-blob-type": "BlockBlob"},
    "expires_at": "2026-05-04T10:30:00.000000Z",
}
_LINK = "https://account.blob.core.windows.net/maid-artifacts/…/predictions.csv?sp=r&sig=…"

CREATE = Description(
    TAG,
    "Make a batch of predictions and a link for its CSV",
    {201: Answer.json("The batch, and where to PUT the CSV.", BatchUpload, _UPLOAD, "Location")},
    "For files that are too large for `predict`. It starts when the file has arrived, or by `start`.",
    refusals={
        400: "The training has not succeeded (`wrong_state`).",
        429: "As many batches as a user may have are queued or running; wait for one to end, or cancel one.",
    },
)
LIST = Description(
    TAG,
    "List the batches of a training",
    {200: Answer.json("The batches, newest first.", list[BatchView], [_SUCCEEDED])},
)
READ = Description(
    TAG,
    "Read a batch of predictions",
    {200: Answer.json("The batch.", BatchOutput, {**_SUCCEEDED, "url": _LINK})},
    "The output has all columns and rows of the CSV in their order, and beside them what the model says.",
)
START = Description(
    TAG,
    "Start a batch of predictions",
    {202: Answer.json("It waits or runs, by this call or an earlier one.", BatchView, _QUEUED, "Location")},
    "Harmless when it has started already, by its upload or by another call.",
    refusals={400: "The CSV has not arrived (`nothing_uploaded`), or the batch has ended (`wrong_state`)."},
)
CANCEL = Description(
    TAG,
    "Cancel a batch of predictions",
    {
        202: Answer.json("It ends within seconds.", BatchView, {**_QUEUED, "status": "running"}),
        200: Answer.json("It had ended already.", BatchView, _SUCCEEDED),
    },
)
