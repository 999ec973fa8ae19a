"""ONNX, by tf2onnx: for onnxruntime and whatever else reads it."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from core.keras_worker.errors import Refused
from core.keras_worker.exportable import INPUT, OUTPUT, Exportable, Written, as_rows

# What tf2onnx 1.17 writes at most; onnxruntime reads it since 1.14.
_OPSET = 18
_USE = "Export it as tflite or saved_model instead."


def write_onnx(source: Exportable, path: Path) -> Written:
    # They start threads, so they must not be loaded before the fork.
    import onnx
    import onnxruntime
    import tf2onnx.convert

    frozen = source.frozen()
    given, wanted = frozen.inputs[0].name, frozen.outputs[0].name
    model: Any
    model, _ = tf2onnx.convert.from_graph_def(
        frozen.graph.as_graph_def(),
        name=source.model.name,
        input_names=[given],
        output_names=[wanted],
        opset=_OPSET,
        custom_op_handlers={"Erfc": (_erfc, []), "Expm1": (_expm1, [])},
        tensors_to_rename={given: INPUT, wanted: OUTPUT},
    )
    unknown = set(_unknown(model.graph, onnx))
    if unknown:
        raise Refused(_sentence(source, unknown))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "rows"
    path.write_bytes(model.SerializeToString())
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        [outputs] = session.run([OUTPUT], {INPUT: source.sample})
    except _runtime_errors() as error:
        raise Refused(f"ONNX cannot express this network. {_USE}") from error
    return Written(as_rows(outputs, len(source.sample)))


def _erfc(context: Any, node: Any, name: str, _: Any) -> None:
    """1 − erf(x), which gelu becomes in TensorFlow and tf2onnx does not know."""
    _difference(context, node, lambda one, x: [one, context.make_node("Erf", [x]).output[0]])


def _expm1(context: Any, node: Any, name: str, _: Any) -> None:
    """exp(x) − 1, from celu."""
    _difference(context, node, lambda one, x: [context.make_node("Exp", [x]).output[0], one])


def _difference(context: Any, node: Any, terms: Any) -> None:
    """Puts a subtraction in the place of the node."""
    one = context.make_const(f"{node.name}_one", np.array(1, np.float32)).output[0]
    shapes, types = [context.get_shape(node.output[0])], [context.get_dtype(node.output[0])]
    inputs, outputs = node.input[:], node.output[:]
    context.remove_node(node.name)
    context.make_node("Sub", terms(one, inputs[0]), outputs=outputs, name=node.name, shapes=shapes, dtypes=types)


def _unknown(graph: Any, onnx: Any) -> Iterator[str]:
    """Operations that ONNX does not have: tf2onnx leaves in what it cannot convert."""
    for node in graph.node:
        if not onnx.defs.has(node.op_type, node.domain):
            yield node.op_type
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _unknown(inner, onnx)


def _runtime_errors() -> tuple[type[Exception], ...]:
    state: Any = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    return (state.Fail, state.InvalidGraph, state.InvalidArgument, state.NotImplemented, state.RuntimeException)


def _sentence(source: Exportable, operations: set[str]) -> str:
    layers = source.layers_of(operations)
    where = f" (layer {', '.join(layers)})" if layers else ""
    return f"ONNX has no {', '.join(sorted(operations))}, which this network needs{where}. {_USE}"
