"""Reads a model file on this instance: a child without Keras says what is in it, the catalogue what can be drawn."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from weakref import WeakKeyDictionary

from core.base.errors import BadRequest, TooLarge, Unavailable
from core.base.http import dump_json
from core.base.settings import MIB, Settings, settings
from core.graphs.api import imported_payload, new_graph
from core.keras_worker.errors import ChildDied, ChildFailed, ChildOutOfMemory, ChildTimedOut, Refused
from core.keras_worker.pool import ChildPool, PoolOptions, default_start

log = logging.getLogger(__name__)

_KIND = "none"
# A file at which the child dies so often would go on killing it.
_MOST_DEATHS = 3
_LONGEST_NAME = 120
# Where the child leaves the weights, beside the model file.
_WEIGHTS_FILE = "weights.bin"
_LONGEST_SOURCE = 200


class UnreadableModel(BadRequest):
    """The file cannot be imported: one sentence, under the form's field."""

    def __init__(self, text: str) -> None:
        super().__init__({"file": [text]})
        self.text = text

    @property
    def sentence(self) -> str:
        return self.text


@dataclass(frozen=True)
class ReadModel:
    """What is in a model file: the graph as it could be posted, and the weights, where they were kept.

    `weights` is a file beside the one that was read; `note` says why there is none, or what of it cannot be used.
    """

    payload: dict[str, Any]
    weights: Path | None
    layers: int
    parameters: int
    note: str


class ModelReader:
    """Reads model files for one event loop, a few at a time."""

    def __init__(self, pool: ChildPool, chosen: Settings) -> None:
        self.pool = pool
        self._settings = chosen
        self._children = asyncio.Semaphore(chosen.import_children)

    async def payload(self, owner: str, path: Path, source_name: str, name: str) -> dict[str, Any]:
        """The graph in the file, as it could be posted; its weights are left alone. Raises as `read` does."""
        return await self._draw(owner, await self._ask(path, 0), source_name, name)

    async def read(self, owner: str, path: Path, source_name: str, name: str) -> ReadModel:
        """All that is in the file. Raises BadRequest, TooLarge, Unavailable.

        `path` lies in a folder of its own, in which the child may unpack parts of it, and leaves the weights.
        """
        answer = await self._ask(path, self._settings.max_weights_bytes)
        payload = await self._draw(owner, answer, source_name, name)
        kept: dict[str, Any] | None = answer["weights"]
        if kept is None:
            return ReadModel(payload, None, 0, 0, answer["weights_note"])
        weights = path.parent / _WEIGHTS_FILE
        return ReadModel(payload, weights, kept["layers"], kept["parameters"], answer["weights_note"])

    async def _draw(self, owner: str, answer: dict[str, Any], source_name: str, name: str) -> dict[str, Any]:
        return await asyncio.to_thread(draw, owner, answer, source_name, name, self._settings.max_graph_bytes)

    async def _ask(self, path: Path, weights_bytes: int) -> dict[str, Any]:
        chosen = self._settings
        arguments = {
            "path": str(path),
            "limits": {
                "files": chosen.max_zip_extracted_files,
                "bytes": chosen.max_zip_extracted_bytes,
                "config_bytes": chosen.max_graph_bytes,
                "weights_bytes": weights_bytes,
            },
            "memory_bytes": chosen.import_memory_mb * MIB,
        }
        async with self._children:
            for death in range(1, _MOST_DEATHS + 1):
                try:
                    return await self._ask_child(arguments)
                except Refused as refused:
                    raise UnreadableModel(str(refused)) from None
                except ChildOutOfMemory:
                    raise UnreadableModel(
                        f"Reading the file takes more than {chosen.import_memory_mb} MiB of memory (IMPORT_MEMORY_MB)."
                    ) from None
                except ChildTimedOut:
                    raise UnreadableModel(
                        f"Reading the file takes longer than {chosen.import_seconds} seconds (IMPORT_SECONDS)."
                    ) from None
                except ChildDied:
                    log.warning("a child died while it read a model file, for the %d. time", death)
                except ChildFailed as failed:
                    log.warning("a model file could not be read: %s\n%s", failed, failed.detail)
                    break
        raise UnreadableModel("The file cannot be read; save the model again with Keras 3 as .keras.")

    async def _ask_child(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """What a new child says: the last file may have been made to change the child that read it."""
        async with AsyncExitStack() as stack:
            try:
                child = await stack.enter_async_context(self.pool.child(_KIND))
            except ChildDied:
                raise Unavailable("The file could not be read now; try again in a moment.") from None
            return await child.call("read_model", arguments, seconds=self._settings.import_seconds)


def draw(owner: str, read: dict[str, Any], source_name: str, name: str, most_bytes: int) -> dict[str, Any]:
    """The payload of what a child `read`, checked as if it were posted, so that making a graph of it later cannot fail.

    Raises BadRequest, TooLarge for JSON of more than `most_bytes`.
    """
    payload = imported_payload(read["model"], name, source=file_name(source_name))
    payload["name"] = str(payload["name"])[:_LONGEST_NAME]
    payload["framework_version"] = read["keras_version"]
    if (size := len(dump_json(payload))) > most_bytes:
        raise TooLarge(f"The model's drawing has {size:,} bytes; at most {most_bytes:,} are allowed (MAX_GRAPH_BYTES).")
    checked = new_graph(owner, payload)
    return {"framework": checked.framework, "task": checked.task, "status": checked.status, **payload}


def file_name(source_name: str) -> str:
    """The last part of the client's name for a file, to be shown only: a browser may send a whole path."""
    return PurePosixPath(source_name.replace("\\", "/")).name[-_LONGEST_SOURCE:]


_readers: WeakKeyDictionary[asyncio.AbstractEventLoop, ModelReader] = WeakKeyDictionary()


def model_reader() -> ModelReader:
    """The reader of the running event loop, made at its first use; it starts no process by itself."""
    loop = asyncio.get_running_loop()
    if loop not in _readers:
        chosen = settings()
        options = PoolOptions(
            start=default_start() if chosen.child_start == "auto" else chosen.child_start,
            memory_limit_bytes=chosen.import_memory_mb * MIB,
            keep=0,
        )
        _readers[loop] = ModelReader(ChildPool(options), chosen)
    return _readers[loop]
