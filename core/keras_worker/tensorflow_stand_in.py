"""What the lookup, hashing and text layers touch of TensorFlow while a graph is only being shaped.

Their tables are filled when a model is trained, on the real TensorFlow; here they stay empty, so
that `StringLookup` and its kin can be drawn and compiled without importing it.
"""

from __future__ import annotations

import types
from contextlib import nullcontext
from typing import Any

import numpy as np

string = "string"
int64 = "int64"


class DType:
    """A dtype by its name."""

    def __init__(self, name: Any) -> None:
        self.name = getattr(name, "name", None) or str(name)
        if self.name != "string":
            np.dtype(self.name)

    @property
    def max(self) -> int:
        return int(np.iinfo(self.name).max)

    @property
    def is_integer(self) -> bool:
        return self.name != "string" and np.issubdtype(np.dtype(self.name), np.integer)


class Tensor:
    """A type that nothing is an instance of."""


SparseTensor = RaggedTensor = TypeSpec = TensorShape = Tensor


class Scalar(int):
    """A whole number that can be asked for as an array, as an eager tensor can."""

    def numpy(self) -> int:
        return int(self)


class Table:
    """A lookup table that holds nothing but its size."""

    def __init__(self, initializer: Any = None, default_value: Any = None, **options: Any) -> None:
        self._size = getattr(initializer, "length", 0)

    def size(self) -> Scalar:
        return Scalar(self._size)


class KeyValueTensorInitializer:
    """Remembers how many keys a table would get."""

    def __init__(self, keys: Any, values: Any, key_dtype: Any = None, value_dtype: Any = None) -> None:
        self.length = len(keys)


class Variable:
    """A value as given."""

    def __init__(self, initial: Any, dtype: Any = None, trainable: bool = True) -> None:
        self._value = initial

    def value(self) -> Any:
        return self._value


def as_dtype(name: Any) -> DType:
    return DType(name)


def executing_eagerly() -> bool:
    return True


def init_scope() -> Any:
    return nullcontext()


def is_tensor(value: Any) -> bool:
    return False


def convert_to_tensor(value: Any, dtype: Any = None) -> Any:
    return np.asarray(value)


def size(value: Any) -> int:
    return int(np.size(value))


def range(start: int, stop: int, dtype: Any = None) -> Any:
    return np.arange(start, stop)


def _as_text(value: Any, encoding: str = "utf-8") -> str:
    return value.decode(encoding) if isinstance(value, bytes) else str(value)


compat = types.SimpleNamespace(as_text=_as_text)
data = types.SimpleNamespace(Dataset=Tensor)
lookup = types.SimpleNamespace(
    StaticHashTable=Table,
    KeyValueTensorInitializer=KeyValueTensorInitializer,
    experimental=types.SimpleNamespace(MutableHashTable=Table),
)
