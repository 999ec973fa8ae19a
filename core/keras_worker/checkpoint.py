"""Checkpoints in the work folder: plain arrays and JSON with hashes, the newest two kept.

A checkpoint is a folder `checkpoints/<name>/` of a `manifest.json` and one file for each group of arrays. Names sort
by progress. It is written to a temporary name, flushed to the disk and renamed, so a crash leaves the one before; what
a disk or a copy damages later shows in the hashes, and the one before is used.
"""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from core.keras_worker.kill_points import passed

_KEPT = 2
_PART = ".part-"
Arrays = list[np.ndarray]


@dataclass(frozen=True)
class Checkpoint:
    """`state` is JSON (NaN included); `groups` are lists of arrays by group name."""

    name: str
    state: dict[str, Any]
    groups: dict[str, Arrays]


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Writes the checkpoint durably, then removes all but the newest two."""
    passed("checkpoint-begun")
    part = folder / f"{_PART}{checkpoint.name}"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    files = {group: _write_arrays(part / f"{group}.bin", arrays) for group, arrays in checkpoint.groups.items()}
    passed("checkpoint-arrays-written")
    body = json.dumps({"state": checkpoint.state, "groups": files})
    digest = hashlib.sha256(body.encode()).hexdigest()
    _write_durably(part / "manifest.json", json.dumps({"sha256": digest, "body": body}).encode())
    _sync_folder(part)
    passed("checkpoint-manifest-written")
    # A folder of this name can only be a damaged one: from a good one the training would have gone on.
    shutil.rmtree(folder / checkpoint.name, ignore_errors=True)
    os.rename(part, folder / checkpoint.name)
    _sync_folder(folder)
    passed("checkpoint-renamed")
    _remove_older(folder)
    passed("checkpoint-older-removed")


def newest_name(folder: Path) -> str | None:
    """The name of the newest checkpoint, good or not."""
    return max(_names(folder), default=None)


def newest_good_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest checkpoint whose manifest and arrays are whole, or None."""
    for name in sorted(_names(folder), reverse=True):
        checkpoint = _read(folder / name)
        if checkpoint is not None:
            return checkpoint
    return None


def remove_newer(folder: Path, name: str) -> None:
    """Removes the checkpoints after `name` ("" for all): damaged ones, which would hide those written from now on."""
    for newer in _names(folder):
        if newer > name:
            shutil.rmtree(folder / newer)


def _read(folder: Path) -> Checkpoint | None:
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        if hashlib.sha256(manifest["body"].encode()).hexdigest() != manifest["sha256"]:
            return None
        body = json.loads(manifest["body"])
        groups = {group: _read_arrays(folder / f"{group}.bin", entry) for group, entry in body["groups"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # Whatever shape the damage has, it is not a checkpoint.
        return None
    return Checkpoint(folder.name, body["state"], groups)


def _write_arrays(path: Path, arrays: Arrays) -> dict[str, Any]:
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for array in arrays:
            content = np.ascontiguousarray(array).data
            digest.update(content)
            file.write(content)
        _flush(file)
    described = [{"dtype": array.dtype.name, "shape": array.shape} for array in arrays]
    return {"sha256": digest.hexdigest(), "arrays": described}


def _read_arrays(path: Path, entry: dict[str, Any]) -> Arrays:
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise ValueError("the file is damaged")
    arrays: Arrays = []
    offset = 0
    for described in entry["arrays"]:
        dtype, shape = np.dtype(described["dtype"]), tuple(described["shape"])
        count = int(np.prod(shape, dtype=np.int64))
        arrays.append(np.frombuffer(content, dtype, count, offset).reshape(shape))
        offset += count * dtype.itemsize
    return arrays


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        _flush(file)


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows cannot open folders; its renames are journalled
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("*") if path.is_dir() and not path.name.startswith(_PART)]


def _remove_older(folder: Path) -> None:
    for name in sorted(_names(folder))[:-_KEPT]:
        shutil.rmtree(folder / name, ignore_errors=True)
