"""Keras's own training and evaluation steps, many of them in one call of a graph.

Keras's `fit` spends most of its time on a small network between steps, in Python. Here a loop inside the graph calls
the same `train_step`, compiled as Keras compiles it; the results are bit for bit those of `fit`, which the tests hold
over MLPs, CNNs and RNNs. The batch dimension stays unknown in the graph, as in `fit`: one trace serves the last,
smaller batch too.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from core.keras_worker.dataset import Rows


class Steps:
    """Runs many batches through one of the model's step functions."""

    def __init__(self, step: Callable[[Any], Any], model: keras.Model, example: Rows) -> None:
        @tf.autograph.experimental.do_not_convert
        def one_step(data: Any) -> Any:
            return step(data)

        one_batch = tf.function(one_step, reduce_retracing=True, jit_compile=model.jit_compile)

        def all_batches(batch_size: tf.Tensor, *rows: tf.Tensor) -> tf.Tensor:
            count = tf.shape(rows[0])[0]

            def body(start: tf.Tensor) -> list[tf.Tensor]:
                end = tf.minimum(start + batch_size, count)
                one_batch(tuple(part[start:end] for part in rows))
                return [end]

            return tf.while_loop(lambda start: start < count, body, [tf.constant(0)], parallel_iterations=1)[0]

        signature = [tf.TensorSpec([], tf.int32)]
        signature += [tf.TensorSpec([None, *part.shape[1:]], part.dtype) for part in example]
        # Tracing here, before any state is restored, also creates the variables of the metrics.
        self._run = tf.function(all_batches, autograph=False, input_signature=signature).get_concrete_function()

    def __call__(self, rows: Rows, batch_size: int) -> None:
        """Runs over `rows` (x, y and perhaps weights), cut into batches; only the last may be smaller."""
        self._run(tf.constant(batch_size), *(tf.constant(part) for part in rows))
