"""TFLite: for phones and small devices, with the operations that every TFLite runtime has."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from core.keras_worker.errors import Refused
from core.keras_worker.exportable import Exportable, Outputs, Written, as_rows

_ONE_ROW = "The file takes one row at a time: TFLite cannot run this network on several at once."
_USE = "Export it as onnx or saved_model instead."


class _Inexpressible(Exception):
    """TFLite has no way to say this network; `operations` are those of TensorFlow that it lacks, if it tells."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.operations = set(re.findall(r"'tf\.(\w+)' op", text))


def write_tflite(source: Exportable, path: Path) -> Written:
    return _write(source, path, quantize=False)


def write_quantized_tflite(source: Exportable, path: Path) -> Written:
    """With weights of 8 bits (dynamic range): those of tensors with more than 1,024 numbers."""
    return _write(source, path, quantize=True)


def _write(source: Exportable, path: Path, *, quantize: bool) -> Written:
    """For any number of rows where that goes. The loops of recurrent layers become TFLite's only for a fixed one."""
    if "TensorListReserve" not in source.operations:
        try:
            return Written(_written(source, path, None, quantize))
        except _Inexpressible:
            pass
    try:
        return Written(_written(source, path, 1, quantize), _ONE_ROW)
    except _Inexpressible as error:
        raise Refused(_sentence(source, error.operations)) from error


def _written(source: Exportable, path: Path, batch: int | None, quantize: bool) -> Outputs:
    """Writes the file; the outputs for the sample that an interpreter gets from it. Raises _Inexpressible."""
    # What TensorFlow raises here it exports under no name.
    from tensorflow.lite.python.convert_phase import ConverterError

    converter: Any = tf.lite.TFLiteConverter.from_concrete_functions([source.frozen(batch)], tf.Module())
    if quantize:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    try:
        path.write_bytes(converter.convert())
        return _outputs(path, source, batch)
    except (ConverterError, RuntimeError, ValueError) as error:
        raise _Inexpressible(str(error)) from error


def _outputs(path: Path, source: Exportable, batch: int | None) -> Outputs:
    interpreter: Any = tf.lite.Interpreter(model_path=str(path))
    [given], [wanted] = interpreter.get_input_details(), interpreter.get_output_details()
    rows = batch or len(source.sample)
    interpreter.resize_tensor_input(given["index"], [rows, source.sample.shape[1]])
    interpreter.allocate_tensors()
    outputs: list[Outputs] = []
    for start in range(0, len(source.sample), rows):
        interpreter.set_tensor(given["index"], source.sample[start : start + rows])
        interpreter.invoke()
        outputs.append(as_rows(interpreter.get_tensor(wanted["index"]), rows))
    return np.concatenate(outputs)


def _sentence(source: Exportable, operations: set[str]) -> str:
    if not operations:
        return f"TFLite cannot express this network. {_USE}"
    layers = source.layers_of(operations)
    where = f" (layer {', '.join(layers)})" if layers else ""
    return f"TFLite has no {', '.join(sorted(operations))}, which this network needs{where}. {_USE}"
