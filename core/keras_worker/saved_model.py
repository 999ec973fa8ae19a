"""The Keras config beside a TensorFlow SavedModel, where there is one.

A SavedModel itself is a program; it is never looked into. Keras 2 wrote `keras_metadata.pb` beside it: for
each object a JSON text. Of that protobuf these fields are read (keras/protobuf/saved_metadata.proto, Keras
2.15): SavedMetadata.nodes = 1; SavedObject.node_path = 3, .metadata = 5.
"""

from __future__ import annotations

from collections.abc import Iterator

from core.keras_worker.errors import Refused

_NODES, _NODE_PATH, _METADATA = 1, 3, 5
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

NO_CONFIG = (
    "This SavedModel holds no Keras config that could be read (model.export and TensorFlow itself write none), and a"
    " SavedModel's operations are never run here. Load it where it was made and save it by model.save('model.keras')."
)


def root_metadata(content: bytes) -> str:
    """The JSON text of the model itself. Raises Refused if there is none or the bytes do not read."""
    try:
        for number, node in _fields(content):
            if number == _NODES:
                fields = dict(_fields(node))
                if fields.get(_NODE_PATH) == b"root" and fields.get(_METADATA):
                    return fields[_METADATA].decode("utf-8")
    except (IndexError, UnicodeDecodeError):
        raise Refused("keras_metadata.pb is damaged or was cut off; save the model and upload it again.") from None
    raise Refused(NO_CONFIG)


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of each length-delimited field. Raises IndexError where the message breaks off."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        kind = key & 7
        if kind == _BYTES:
            length, position = _varint(message, position)
            if position + length > len(message):
                raise IndexError("the field is longer than its message")
            yield key >> 3, message[position : position + length]
            position += length
        elif kind == _VARINT:
            _, position = _varint(message, position)
        elif kind in (_FIXED64, _FIXED32):
            position += 8 if kind == _FIXED64 else 4
        else:
            raise IndexError("there is no such kind of field")


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """The number at `position` and where it ends: seven bits a byte, at most ten bytes."""
    value = 0
    for shift in range(0, 70, 7):
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise IndexError("the number is too long")
