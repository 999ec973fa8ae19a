"""What goes over HTTP of uploads, as clients are told it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from core.base.description import Id, Timestamp


class Presigned(TypedDict):
    """A job that waits for its file, and where to PUT it."""

    job_id: Id
    upload_url: Annotated[str, Field(description="Takes one PUT of the file, and gives nothing back.")]
    headers: Annotated[dict[str, str], Field(description="To be sent with the PUT, beside a Content-Type.")]
    expires_at: Timestamp


def presigned_example(job_id: str, name: str) -> dict[str, Any]:
    """What a client is shown for a job whose blob is `name`."""
    return {
        "job_id": job_id,
        "upload_url": f"https://account.blob.core.windows.net/{name}?sp=c&sig=…",
        "headers": {"x-ms-blob-type": "BlockBlob"},
        "expires_at": "2026-05-04T10:30:00.000000Z",
    }
