"""An HDF5 file that somebody uploaded: its links and data sets are looked at one by one before any is followed or read.

HDF5 can point out of its own file in four ways: external links, soft links through them, data sets in
external storage, and virtual data sets. A model needs none of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from core.keras_worker.errors import Refused
from core.keras_worker.model_archive import Limits

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"

# The interface to the C library, which has no types.
_hdf5: Any = h5py

# What h5py makes of HDF5's errors.
_BROKEN = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, NotImplementedError)

# Keras writes a handful of objects for each layer.
_MOST_LINKS = 100_000
_DEEPEST = 64


@contextmanager
def open_hdf5(path: Path, limits: Limits) -> Iterator[h5py.File]:
    """The file, after a look at all that is in it. Raises Refused, also where damage shows while it is open."""
    try:
        with h5py.File(path, "r") as file:
            _check_objects(file.id, _most_bytes(path, limits))
            yield file
    except _BROKEN:
        raise Refused("The HDF5 file is damaged or was cut off; save the model and upload it again.") from None


def text_attributes(file: h5py.File, names: tuple[str, ...], most_bytes: int) -> dict[str, str]:
    """The file's text attributes of these names, where they are there. Raises Refused for longer ones."""
    return {name: _text(file, name, most_bytes) for name in names if name in file.attrs}


def text_list(group: h5py.Group, name: str, most_bytes: int) -> list[str]:
    """An attribute that is a list of texts; Keras cuts long ones into `name0`, `name1` and so on. Raises Refused."""
    pieces = takewhile(lambda piece: piece in group.attrs, (f"{name}{number}" for number in count()))
    return (
        _texts(group, name, most_bytes)
        if name in group.attrs
        else [text for piece in pieces for text in _texts(group, piece, most_bytes)]
    )


def _most_bytes(path: Path, limits: Limits) -> int:
    """What all data sets may declare together: the file itself may be large, but not grow when it is read."""
    return max(path.stat().st_size, limits.bytes)


def _check_objects(file: Any, most_bytes: int) -> None:
    links, declared = 0, 0

    def visit(name: bytes, info: Any) -> Exception | None:
        """What is wrong with this link; HDF5 stops at the first. An error raised through HDF5's C would be lost."""
        nonlocal links, declared
        links += 1
        try:
            if links > _MOST_LINKS or name.count(b"/") > _DEEPEST:
                raise Refused("The HDF5 file holds more objects, or more deeply nested ones, than a model does.")
            _check_link(name, info.type)
            thing = _hdf5.h5o.open(file, name)
            if isinstance(thing, _hdf5.h5d.DatasetID):
                declared += _declared_bytes(name, thing)
                if declared > most_bytes:
                    raise Refused(
                        f"The data sets of the HDF5 file declare more than {most_bytes:,} bytes, more than it holds."
                    )
        except (Refused, MemoryError, *_BROKEN) as error:
            return error
        return None

    wrong = file.links.visit(visit, info=True)
    if wrong is not None:
        raise wrong


def _check_link(name: bytes, kind: int) -> None:
    if kind == _hdf5.h5l.TYPE_SOFT:
        raise Refused(f"'{_shown(name)}' in the HDF5 file is a soft link; save the model with Keras itself.")
    if kind != _hdf5.h5l.TYPE_HARD:
        raise Refused(f"'{_shown(name)}' in the HDF5 file is an external link to another file, which is not followed.")


def _declared_bytes(name: bytes, dataset: Any) -> int:
    """The size that the data set declares. Raises Refused if its data lie elsewhere."""
    plan = dataset.get_create_plist()
    # Asking a virtual data set for its size would look into the files it points at.
    if plan.get_layout() == _hdf5.h5d.VIRTUAL:
        raise Refused(f"'{_shown(name)}' in the HDF5 file is a virtual data set made of other files.")
    if plan.get_external_count():
        raise Refused(f"The data of '{_shown(name)}' in the HDF5 file lie in another file (external storage).")
    space = dataset.get_space()
    if space.get_simple_extent_type() == _hdf5.h5s.NULL:
        return 0
    size = dataset.get_type().get_size()
    for length in space.get_simple_extent_dims():
        size *= length
    return size


def _text(file: h5py.File, name: str, most: int) -> str:
    attribute = _hdf5.h5a.open(file.id, name.encode())
    if attribute.get_space().get_simple_extent_npoints() != 1 or not isinstance(
        attribute.get_type(), _hdf5.h5t.TypeStringID
    ):
        raise Refused(f"The attribute {name} of the HDF5 file is no text.")
    value: Any = file.attrs[name] if attribute.get_type().get_size() <= most else b" " * (most + 1)
    if isinstance(value, np.ndarray):
        value = value.reshape(-1)[0]
    text = value.decode("utf-8") if isinstance(value, bytes) else str(value)
    if len(text) > most:
        raise Refused(f"The attribute {name} of the HDF5 file has more than {most:,} bytes.")
    return text


def _texts(group: h5py.Group, name: str, most: int) -> list[str]:
    attribute = _hdf5.h5a.open(group.id, name.encode())
    number, kind = attribute.get_space().get_simple_extent_npoints(), attribute.get_type()
    if number == 0:
        return []  # an empty list is stored as one of numbers
    if not isinstance(kind, _hdf5.h5t.TypeStringID) or number * kind.get_size() > most:
        raise Refused(f"The attribute {name} in the HDF5 file is no list of names.")
    values: list[Any] = np.asarray(group.attrs[name]).reshape(-1).tolist()
    return [value.decode("utf-8") if isinstance(value, bytes) else str(value) for value in values]


def _shown(name: bytes) -> str:
    text = name.decode("utf-8", "replace")
    return "".join(sign if sign.isprintable() else "?" for sign in text[-80:])
