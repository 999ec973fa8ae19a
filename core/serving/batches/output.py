"""The CSV with predictions: staged block by block, and there as a whole once all are committed in their order.

A block's id is the range of the uploaded CSV whose rows it holds. So it does not matter how often a block is staged,
by whom, or how the ranges were cut at that time: any chain of ranges from the first byte to the last is the output.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from azure.storage.blob import BlobBlock, ContentSettings

from core.base.blobs import delete_blob, write_blob
from core.base.clients import Storage
from core.serving.batches.batch import Batch

_CONTENT_TYPE = "text/csv; charset=utf-8"
# Terabytes fit into so many digits; all ids of a blob must be of one length.
_DIGITS = 15


class Output:
    """The output of one batch. Blocks that are never committed vanish by themselves after a week."""

    def __init__(self, storage: Storage, batch: Batch) -> None:
        self._container = storage.artifacts
        self._name = batch.output_path
        self._blob = storage.artifacts.get_blob_client(batch.output_path)

    async def stage(self, start: int, end: int, path: Path) -> None:
        """Keep the file as the predictions for the bytes of the CSV from `start` to `end`."""
        with path.open("rb") as file:
            await self._blob.stage_block(_block_id(start, end), file, length=os.fstat(file.fileno()).st_size)

    async def commit(self, end: int) -> None:
        """Make the blob of the predictions for all bytes up to `end`; done again, it makes the same."""
        committed, staged = await self._blob.get_block_list("all")
        chain = chain_of_ranges((_range(block.id) for block in (*committed, *staged)), end)
        blocks = [BlobBlock(_block_id(*found)) for found in chain]
        await self._blob.commit_block_list(blocks, content_settings=ContentSettings(content_type=_CONTENT_TYPE))

    async def discard(self) -> None:
        """Let go of all blocks."""
        # Writing the blob is what drops its staged blocks; a crash before the deletion leaves an empty one.
        await write_blob(self._container, self._name, b"", _CONTENT_TYPE)
        await delete_blob(self._container, self._name)


def chain_of_ranges(ranges: Iterable[tuple[int, int]], end: int) -> list[tuple[int, int]]:
    """Ranges that lead from 0 to `end` without a gap or an overlap. Raises LookupError if there are none."""
    following: dict[int, int] = {}
    for start, stop in sorted(set(ranges), reverse=True):
        if stop == end or stop in following:
            following[start] = stop
    chain: list[tuple[int, int]] = []
    at = 0
    while at != end:
        if at not in following:
            raise LookupError(f"no block begins at byte {at}")
        chain.append((at, following[at]))
        at = following[at]
    return chain


def _block_id(start: int, end: int) -> str:
    return f"{start:0{_DIGITS}d}-{end:0{_DIGITS}d}"


def _range(block_id: str) -> tuple[int, int]:
    start, _, end = block_id.partition("-")
    return int(start), int(end)
