"""What a result depends on beside graph, data and parameters: thread counts, seed and versions."""

import os
import platform
from typing import Any

import keras
import numpy as np
import tensorflow as tf


def fix_threads(threads: int) -> None:
    """Sets TensorFlow's thread counts, before its first operation in this process.

    Sums are split among threads, so other counts give other last bits (measured on a CNN). A process that has run
    operations with another count ends here: the parent sees ChildDied and starts a new one.
    """
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        os._exit(1)


def fresh_session(seed: int) -> None:
    """Forgets names and variables of earlier models and seeds Python, NumPy and TensorFlow, so that a model built
    next is the same in every process."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)


def versions() -> dict[str, Any]:
    """Versions that bit equality is promised for."""
    return {
        "python": platform.python_version(),
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
    }
