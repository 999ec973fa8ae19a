"""What is checked when a file has landed, before anything parses it: size, blob type, first bytes."""

from __future__ import annotations

import codecs

from azure.core import MatchConditions
from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import BlobType

from core.base.clients import Storage
from core.base.errors import BadRequest, NothingUploaded
from core.jobs.start import Dataset
from core.keras_worker.csv_format import sniff_sample
from core.keras_worker.errors import Refused

_HEAD_BYTES = 64 * 1024
_HEADER_BYTES = 1024 * 1024

# Files that people upload by mistake, by their first bytes.
_SIGNATURES = {
    b"PK\x03\x04": "a zip or Excel file",
    b"\xd0\xcf\x11\xe0": "an old Excel file",
    b"%PDF": "a PDF",
    b"\x89HDF": "an HDF5 file",
    b"\x1f\x8b": "a gzip file",
    b"PAR1": "a Parquet file",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"SQLite format 3": "a database",
    b"\x28\xb5\x2f\xfd": "a zstd file",
    b"BZh": "a bzip2 file",
    b"7z\xbc\xaf": "a 7-Zip file",
}
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class UploadRefused(BadRequest):
    """What arrived cannot be a dataset; `reason` is a word for the operators' statistics, the sentence for people."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


async def inspect(storage: Storage, name: str) -> Dataset:
    """The uploaded blob's ETag and size, if it may be used. Raises NothingUploaded, UploadRefused.

    Reads at most the first 64 KiB, and only of the version whose properties were looked at.
    """
    blob = storage.uploads.get_blob_client(name)
    try:
        properties = await blob.get_blob_properties()
        _check_properties(properties.blob_type, properties.size, storage.settings.max_presigned_upload_size)
        head = await blob.download_blob(
            0, _HEAD_BYTES, etag=properties.etag, match_condition=MatchConditions.IfNotModified
        )
        check_head(await head.readall())
    except (ResourceNotFoundError, ResourceModifiedError):
        raise NothingUploaded(
            "No dataset is there yet: PUT the CSV file to the upload URL first, then start."
        ) from None
    return Dataset(properties.etag, properties.size)


def _check_properties(blob_type: BlobType | str | None, size: int, limit: int) -> None:
    if blob_type != BlobType.BLOCKBLOB:
        raise UploadRefused(
            "blob type", "The file was not uploaded as a block blob; send the header x-ms-blob-type: BlockBlob."
        )
    if size == 0:
        raise UploadRefused("empty", "The uploaded file is empty; upload a CSV with a header line and rows.")
    if size > limit:
        raise UploadRefused(
            "size",
            f"The uploaded file has {size:,} bytes; at most {limit:,} are accepted"
            " (MAX_PRESIGNED_UPLOAD_SIZE). Upload fewer rows or columns.",
        )


def check_head(head: bytes) -> None:
    """Raises UploadRefused unless the file's first bytes can be those of a CSV."""
    for signature, kind in _SIGNATURES.items():
        if head.startswith(signature):
            raise UploadRefused(
                "another format", f"The uploaded file is {kind}, not a CSV; export it as CSV and upload that."
            )
    if b"\0" in head and not head.startswith(_UTF16):
        raise UploadRefused("binary", "The uploaded file is binary, not a CSV; export it as CSV and upload that.")
    if head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        raise UploadRefused("web page", "The uploaded file is a web page, not a CSV; download the data itself.")


def check_header(content: bytes, columns: list[str]) -> None:
    """Raises BadRequest, under the form's field, unless the CSV's header has all the columns once."""
    try:
        check_head(content[:_HEAD_BYTES])
        sniff_sample(content[:_HEADER_BYTES], columns)
    except (UploadRefused, Refused) as refusal:
        raise BadRequest({"file": [str(refusal)]}) from None
