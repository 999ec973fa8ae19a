"""What exported files are like beside the `.keras` file they come from: size, time to export, time to predict.

`python dev.py bench exports` exports three networks to every format in children as the app does, then lets each file's
own runtime predict one row and a thousand. Sizes and times of predicting are ratios to Keras's, taken in turns in one
run; Keras runs behind one trace, as it does in the app. Ends 1 if a file is further from Keras than is allowed.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnxruntime
import tensorflow as tf

from core.keras_worker.artifacts import save_model
from core.keras_worker.pool import ChildPool, PoolOptions

FORMATS = ("tflite", "tflite_quantized", "onnx", "saved_model", "script")
ROWS = 1000
ROUNDS = 15
Predict = Callable[[np.ndarray], Any]
layers = keras.layers


def networks() -> dict[str, Any]:
    """Each takes a table's row, as every network of the app does."""
    return {
        "MLP 20-256-256-1": [(20,), layers.Dense(256, "relu"), layers.Dense(256, "relu"), layers.Dense(1)],
        "CNN 28×28, 422 k weights": [
            (784,),
            layers.Reshape((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(250, "relu"),
            layers.Dense(10, "softmax"),
        ],
        "LSTM 64, 20 steps of 8": [(160,), layers.Reshape((20, 8)), layers.LSTM(64), layers.Dense(1)],
    }


def store(model: Any, folder: Path) -> np.ndarray:
    """The files that a training leaves; its sample."""
    features = model.inputs[0].shape[1]
    number = {"kind": "number", "missing": None, "mean": None, "deviation": None}
    columns = [{"name": f"x{at}", **number} for at in range(features)]
    target = {"name": "y", "form": "number", "classes": None}
    save_model(model, {"columns": columns, "target": target, "decimal_mark": "."}, folder / "model.keras")
    sample = np.random.default_rng(1).standard_normal((64, features)).astype(np.float32)
    np.save(folder / "sample.npy", sample)
    return sample


async def export(pool: ChildPool, folder: Path, kind: str) -> tuple[dict[str, Any], float]:
    arguments = {"model": str(folder / "model.keras"), "sample": str(folder / "sample.npy"), "format": kind}
    arguments |= {"output": str(folder / kind), "name": "model.keras"}
    began = time.perf_counter()
    async with pool.child("tensorflow") as child:
        told = await child.call("export", arguments)
    return told, time.perf_counter() - began


def keras_runtime(model: Any) -> Predict:
    spec = tf.TensorSpec([None, model.inputs[0].shape[1]], tf.float32)
    run = tf.function(lambda rows: model(rows, training=False), input_signature=[spec], autograph=False)
    return lambda rows: run(tf.constant(rows)).numpy()


def runtime(kind: str, file: Path) -> Predict:
    if kind.startswith("tflite"):
        return tflite_runtime(file)
    if kind == "onnx":
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        return lambda rows: session.run(None, {"features": rows})
    with zipfile.ZipFile(file) as archive:
        archive.extractall(file.with_suffix(".unpacked"))
    loaded: Any = tf.saved_model.load(str(file.with_suffix(".unpacked") / "saved_model"))
    return lambda rows: loaded.serve(tf.constant(rows))["predictions"].numpy()


def tflite_runtime(file: Path) -> Predict:
    interpreter: Any = tf.lite.Interpreter(model_path=str(file))
    given, wanted = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    one_row = given["shape_signature"][0] == 1
    sized = [0]

    def predict(rows: np.ndarray) -> list[Any]:
        size = 1 if one_row else len(rows)
        if sized[0] != size:
            interpreter.resize_tensor_input(given["index"], [size, rows.shape[1]])
            interpreter.allocate_tensors()
            sized[0] = size
        outputs: list[Any] = []
        for start in range(0, len(rows), size):
            interpreter.set_tensor(given["index"], rows[start : start + size])
            interpreter.invoke()
            outputs.append(interpreter.get_tensor(wanted["index"]))
        return outputs

    return predict


def seconds(predicts: dict[str, Predict], rows: np.ndarray) -> dict[str, float]:
    """The median of each, taken in turns."""
    taken: dict[str, list[float]] = {name: [] for name in predicts}
    for _ in range(ROUNDS):
        for name, predict in predicts.items():
            began = time.perf_counter()
            predict(rows)
            taken[name].append(time.perf_counter() - began)
    return {name: statistics.median(times) for name, times in taken.items()}


async def measure(pool: ChildPool, name: str, model: Any, folder: Path) -> bool:
    sample = store(model, folder)
    told = {kind: await export(pool, folder, kind) for kind in FORMATS}
    predicts = {"keras": keras_runtime(model)}
    predicts |= {kind: runtime(kind, folder / kind) for kind in FORMATS if kind != "script"}
    one, many = (seconds(predicts, np.resize(sample, (count, sample.shape[1]))) for count in (1, ROWS))
    bytes_of_keras = (folder / "model.keras").stat().st_size
    print(f"{name}: .keras {bytes_of_keras:,} bytes; Keras {one['keras'] * 1e3:.2f} ms a row, {many['keras'] * 1e3:.1f}"
          f" ms for {ROWS:,}")  # fmt: skip
    print(f"  {'format':<18}{'export':>8}{'size':>8}{'1 row':>8}{ROWS:>7} rows  {'difference':>10} of what is allowed")
    for kind, (answer, took) in told.items():
        ratios = "".join(
            f"{times[kind] / times['keras']:8.2f}" if kind in times else f"{'-':>8}" for times in (one, many)
        )
        part = answer["difference"] / answer["tolerance"]
        print(f"  {kind:<18}{took:7.1f}s{answer['bytes'] / bytes_of_keras:8.2f}{ratios}{'':<8}{part:10.1%}")
    return all(answer["difference"] <= answer["tolerance"] for answer, _ in told.values())


async def main() -> int:
    pool = ChildPool(PoolOptions(keep=0))
    await pool.warm("tensorflow")
    fine: list[bool] = []
    for name, ([*shape], *hidden) in networks().items():
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input(shape), *hidden])
        with tempfile.TemporaryDirectory() as folder:
            fine.append(await measure(pool, name, model, Path(folder)))
    await pool.close()
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
