"""A trained network on its way into a file: what Keras says of the sample, and the network as one frozen graph."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

Outputs = NDArray[np.float32]

# The names of the input and the output, in every format that has names.
INPUT, OUTPUT = "features", "predictions"


@dataclass(frozen=True)
class Exportable:
    """`path`: the `.keras` file, `model`: what is in it, `sample`: rows as the network sees them, `name`: of the
    `.keras` file where people save it."""

    path: Path
    model: Any
    sample: NDArray[np.float32]
    name: str
    _frozen: dict[int | None, Any] = field(default_factory=dict[int | None, Any])

    @cached_property
    def outputs(self) -> Outputs:
        """What Keras gives for the sample: rows × outputs."""
        return as_rows(self.model(tf.constant(self.sample), training=False), len(self.sample))

    @cached_property
    def inference(self) -> Any:
        """The model as far as it predicts: its dropout in recurrent layers is gone."""
        return without_recurrent_dropout(self.model)

    def function(self, batch: int | None = None) -> Any:
        """The network as a TensorFlow function from `INPUT` (a `batch` of rows, by default any number) to a dict with
        `OUTPUT`. Never training: augmentation layers would go on augmenting if they were not told so."""
        model = self.inference
        spec = tf.TensorSpec([batch, self.sample.shape[1]], tf.float32, name=INPUT)
        return tf.function(
            lambda features: {OUTPUT: model(features, training=False)}, input_signature=[spec], autograph=False
        )

    def frozen(self, batch: int | None = None) -> Any:
        """The same as a concrete function with the weights inside."""
        if batch not in self._frozen:
            traced = self.function(batch).get_concrete_function()
            self._frozen[batch] = convert_variables_to_constants_v2(traced, lower_control_flow=False)
        return self._frozen[batch]

    @cached_property
    def _nodes(self) -> list[Any]:
        graph = self.frozen().graph.as_graph_def()
        return [*graph.node, *(node for function in graph.library.function for node in function.node_def)]

    @property
    def operations(self) -> set[str]:
        """The operations of TensorFlow that the network is made of, those inside of loops included."""
        return {node.op for node in self._nodes}

    def layers_of(self, operations: set[str]) -> list[str]:
        """The names of the layers that these operations come from, as far as the graph tells."""
        known = {layer.name for layer in self.inference.layers}
        # A node's name is the path to it, model/layer/…, whose parts Keras numbers once more.
        paths = [node.name.split("/") for node in self._nodes if node.op in operations]
        names = {re.sub(r"_\d+$", "", path[1]) for path in paths if len(path) > 1}
        return sorted(names & known)


@dataclass(frozen=True)
class Written:
    """What a file gives for the sample when it is read back, and a sentence for whoever uses it."""

    outputs: Outputs
    note: str = ""


# Writes the file for an Exportable; raises Refused if its format cannot express the network.
Writer = Callable[[Exportable, Path], Written]


def as_rows(outputs: Any, rows: int) -> Outputs:
    return np.asarray(outputs, dtype=np.float32).reshape(rows, -1)


def without_recurrent_dropout(model: Any) -> Any:
    """The model, with layers that drop nothing where they are recurrent ones that would.

    Keras draws the masks of such a layer also when it does not train, and so writes to the state of its random numbers:
    a graph that writes to variables cannot be frozen.
    """
    config = keras.saving.serialize_keras_object(model)
    changed = _without_dropout(config)
    if changed == config:
        return model
    made: Any = keras.saving.deserialize_keras_object(changed)
    made.set_weights(model.get_weights())
    return made


def _without_dropout(value: Any) -> Any:
    if isinstance(value, dict):
        recurrent = "recurrent_dropout" in value
        return {
            key: 0.0 if recurrent and key in ("dropout", "recurrent_dropout") else _without_dropout(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_without_dropout(item) for item in value]
    return value
