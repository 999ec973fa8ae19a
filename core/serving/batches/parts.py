"""The parts in which a CSV is predicted: fetched, handed to the child, and staged as blocks of the output."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.base import telemetry
from core.base.clients import Storage
from core.base.settings import MIB
from core.keras_worker.child import Child
from core.keras_worker.csv_format import CsvFormat
from core.serving.batches.batch import Batch
from core.serving.batches.output import Output
from core.serving.batches.source import Source
from core.training.run import LATE_SECONDS

# How long a part should take: a cancel and the end of a slice are noticed between two of them.
_PART_SECONDS = 5.0
_SMALLEST_PART = 16 * 1024
_LARGEST_PART = 8 * MIB
# Blob Storage takes 50,000 blocks; parts of several sizes, some staged twice, stay below that.
_MOST_PARTS = 20_000


@dataclass(frozen=True)
class Part:
    """Predicted bytes of the CSV, up to `end`; `next_row` is the number of the row after them."""

    end: int
    next_row: int
    rows: int


class Parts:
    """Predicts with one child. Parts grow until one takes some seconds: one network needs a microsecond for a row,
    another half a second."""

    def __init__(
        self, storage: Storage, source: Source, child: Child, folder: Path, model: Path, form: CsvFormat
    ) -> None:
        self._storage = storage
        self._source = source
        self._child = child
        self._rows, self._predictions = folder / "rows.csv", folder / "predictions.csv"
        self._arguments: dict[str, Any] = {
            "model": str(model),
            "memory_bytes": storage.settings.predict_memory_mb * MIB,
            "source": str(self._rows),
            "output": str(self._predictions),
            "format": asdict(form),
        }
        self._seconds = storage.settings.training_slice_seconds + LATE_SECONDS
        self._size = 0

    async def after(self, batch: Batch) -> Part | None:
        """The part that follows what the batch has done, with its predictions staged; None at the end of the CSV."""
        smallest = max(_SMALLEST_PART, batch.upload_size // _MOST_PARTS)
        size = max(self._size, smallest)
        while batch.offset < batch.upload_size:
            last = await self._source.fetch(batch.offset, size, self._rows)
            begun = time.monotonic()
            place = {"first_row": batch.next_row, "last": last}
            answer = await self._child.call("predict_csv", {**self._arguments, **place}, seconds=self._seconds)
            telemetry.record("child.memory", self._child.memory_bytes(), command="predict_csv")
            if answer["bytes"]:
                took = max(time.monotonic() - begun, 0.001)
                # At most four times as large: the first parts of a file may be unlike the others.
                self._size = min(int(size * min(_PART_SECONDS / took, 4)), max(_LARGEST_PART, smallest))
                end = batch.offset + answer["consumed"]
                await Output(self._storage, batch).stage(batch.offset, end, self._predictions)
                return Part(end, answer["next_row"], answer["rows"])
            if last:
                return None
            # A row, or a gap between two rows, that is longer than the part.
            size *= 2
        return None
