"""The command `export`: a stored model as a file for other programs, checked against Keras before anybody gets it."""

import os
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np

from core.keras_worker.commands import Call
from core.keras_worker.errors import Refused
from core.keras_worker.export_onnx import write_onnx
from core.keras_worker.export_saved_model import write_saved_model
from core.keras_worker.export_script import write_script
from core.keras_worker.export_tflite import write_quantized_tflite, write_tflite
from core.keras_worker.exportable import Exportable, Outputs, Writer

# How far an exported file's outputs may be from Keras's, as a part of the largest output. Sums in another order
# differ by some 1e-6 (measured over all layers); weights of 8 bits, as TFLite's quantisation makes them, by per cents.
_FLOAT32 = 1e-4
_QUANTIZED = 0.1

_WRITERS: dict[str, tuple[Writer, float]] = {
    "tflite": (write_tflite, _FLOAT32),
    "tflite_quantized": (write_quantized_tflite, _QUANTIZED),
    "onnx": (write_onnx, _FLOAT32),
    "saved_model": (write_saved_model, _FLOAT32),
    "script": (write_script, _FLOAT32),
}


def export(call: Call) -> dict[str, Any]:
    """Arguments: `model` (a `.keras` file written by `finish`), `sample` (its `sample.npy`), `format`, `output` (the
    file to write), `name` (of the `.keras` file where people save it, for the script).

    Writes `output` whole or not at all, once it gives for the sample what Keras gives. Returns `bytes`, `rows` (those
    compared), `difference` (the largest between an output and Keras's), `tolerance` (the largest allowed), and `note`
    if whoever uses the file must know something. Raises Refused with a sentence if the format cannot express the
    network, or if the outputs are too far from Keras's.
    """
    arguments = call.arguments
    output = Path(arguments["output"])
    model: Any = keras.models.load_model(arguments["model"], compile=False)
    sample = np.load(arguments["sample"], allow_pickle=False)
    source = Exportable(Path(arguments["model"]), model, sample, arguments["name"])
    write, part_of_largest = _WRITERS[arguments["format"]]
    part = output.with_name(f"part-{output.name}")
    with warnings.catch_warnings():
        # tf.lite advises to use its successor, a package of its own, each time it is used.
        warnings.filterwarnings("ignore", message=r"(?s).*tf\.lite\.Interpreter is deprecated")
        written = write(source, part)
    difference = largest_difference(written.outputs, source.outputs)
    tolerance = part_of_largest * _largest(source.outputs)
    if not difference <= tolerance:
        raise Refused(
            f"The exported file does not give what Keras gives: an output differs by {difference:.2g}, and"
            f" {tolerance:.2g} is allowed. Use another format, or train with standardize=true if columns hold large"
            " numbers."
        )
    os.replace(part, output)
    answer = {
        "bytes": output.stat().st_size,
        "rows": len(sample),
        "difference": difference,
        "tolerance": tolerance,
    }
    return answer | ({"note": written.note} if written.note else {})


def largest_difference(outputs: Outputs, wanted: Outputs) -> float:
    """The largest difference of two numbers at the same place; infinity where one alone is no finite number, or the
    shapes are others. NaN in both, as after a training that diverged, is no difference."""
    if outputs.shape != wanted.shape:
        return float("inf")
    same = (outputs == wanted) | (np.isnan(outputs) & np.isnan(wanted))
    with np.errstate(invalid="ignore"):
        differences = np.where(same, 0.0, np.abs(outputs.astype(np.float64) - wanted.astype(np.float64)))
    return float(np.nan_to_num(differences, nan=np.inf, posinf=np.inf).max(initial=0.0))


def _largest(outputs: Outputs) -> float:
    finite = np.abs(outputs[np.isfinite(outputs)])
    return float(finite.max(initial=0.0)) or 1.0
