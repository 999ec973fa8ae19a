"""Keras without TensorFlow and without weights, for children that only ask what a graph would be.

`install()` makes `import keras` give the numpy backend in 0.6 s and 150 MB. That backend, as shipped,
also imports JAX; nothing here ever executes what it needs JAX for, so empty modules stand in. It
relies on private modules of the pinned Keras (3.12.4); the walk over all layers in
`tests/unit/compile` holds it against the TensorFlow backend.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
import types
from typing import Any

_STAND_INS = ("jax", "jax.lax", "keras.src.backend.jax", "keras.src.backend.jax.math")


def install() -> None:
    """Import Keras on the numpy backend, with variables that take no memory. Call before any import of Keras.

    Raises RuntimeError where Keras is there already with another backend.
    """
    if _STAND_INS[0] in sys.modules and "keras" in sys.modules:
        return
    if "keras" in sys.modules:
        raise RuntimeError("the light backend must be installed before Keras is imported")
    os.environ["KERAS_BACKEND"] = "numpy"
    for name in _STAND_INS:
        sys.modules[name] = types.ModuleType(name)
    sys.modules["jax"].__dict__["lax"] = sys.modules["jax.lax"]
    math = sys.modules["keras.src.backend.jax.math"].__dict__
    math["fft"] = math["fft2"] = None

    import keras
    from keras.src.utils import module_utils

    # Six layers load TensorFlow at their first use; five of them only to look words up in tables.
    from core.keras_worker import tensorflow_stand_in

    lazy: Any = module_utils.tensorflow
    lazy.module, lazy._available = tensorflow_stand_in, True
    keras.config.disable_traceback_filtering()
    _make_variables_weightless()
    _remember_signatures()
    _track_only_what_can_be_tracked()


def _make_variables_weightless() -> None:
    from keras.src.backend.numpy.core import Variable

    tried: set[tuple[type, int]] = set()

    def initialize(self: Any, initializer: Any) -> None:
        """One element, seen through strides of zero as the whole array."""
        import numpy as np

        key = (type(initializer), len(self._shape))
        if key not in tried:
            # Some initializers refuse some ranks; a small array shows it as well as a large one.
            initializer(tuple(min(size, 2) for size in self._shape), dtype=self._dtype)
            tried.add(key)
        element = np.asarray(self._convert_to_tensor(0, dtype=self._dtype))
        self._initialize(np.broadcast_to(element, self._shape))

    def keep(self: Any, value: Any) -> None:
        """Values do not matter here; an assignment would allocate them."""

    cls: Any = Variable
    cls._initialize_with_initializer = initialize
    cls._direct_assign = keep


def _remember_signatures() -> None:
    """Keras asks for the same few signatures for every layer; that was a quarter of the time of a build."""
    signature = inspect.signature
    known: dict[Any, inspect.Signature] = {}

    def remembered(target: Any, **options: Any) -> inspect.Signature:
        key = ("bound", target.__func__) if inspect.ismethod(target) else target
        if options or getattr(key, "__hash__", None) is None:
            return signature(target, **options)
        # Layers wrap their own methods anew for each instance; those would only fill the memory.
        if "<locals>" in getattr(target, "__qualname__", ""):
            return signature(target)
        if key not in known:
            known[key] = signature(target)
        return known[key]

    inspect.signature = remembered
    inspect.getfullargspec = functools.lru_cache(4096)(inspect.getfullargspec)


def _track_only_what_can_be_tracked() -> None:
    """Every attribute of a layer is offered to five trackers; numbers and texts never are for them."""
    from keras.src.layers.layer import Layer

    cls: Any = Layer
    tracked = cls.__setattr__
    plain = frozenset((type(None), bool, int, float, str))

    def set_attribute(self: Any, name: str, value: Any) -> None:
        if type(value) in plain:
            object.__setattr__(self, name, value)
        else:
            tracked(self, name, value)

    cls.__setattr__ = set_attribute
