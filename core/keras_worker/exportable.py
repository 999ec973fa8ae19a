"""A trained network on its way into a file: what Keras says of the sample, and the network as one frozen graph."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

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
        return as_rows(self.predict(tf.constant(self.sample)), len(self.sample))

    @property
    def signature(self) -> Any:
        """Any number of rows, under the name `INPUT`."""
        return self._rows(None)

    def predict(self, features: Any) -> Any:
        """What is exported. Never training: augmentation layers would go on augmenting if they were not told so."""
        return self.model(features, training=False)

    def frozen(self, batch: int | None = None) -> Any:
        """The network as a concrete function of a `batch` of rows, by default any number, with the weights inside.

        Only what the outputs depend on is in it. Keras draws random numbers in some layers also where it drops or mixes
        nothing, and writes to their state; a graph that writes to variables cannot be frozen.
        """
        if batch not in self._frozen:
            whole: Any = tf.compat.v1.wrap_function(self.predict, [self._rows(batch)])
            pruned = whole.prune(whole.inputs[0], whole.outputs[0])
            self._frozen[batch] = convert_variables_to_constants_v2(pruned, lower_control_flow=False)
        return self._frozen[batch]

    def _rows(self, batch: int | None) -> Any:
        return tf.TensorSpec([batch, self.sample.shape[1]], tf.float32, name=INPUT)

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
        known = {layer.name for layer in self.model.layers}
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
