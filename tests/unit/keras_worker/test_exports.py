"""Exported files give what Keras gives, for every kind of network; what a format cannot say is told in a sentence."""

from __future__ import annotations

import csv
import os
import runpy
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import psutil
import pytest
import tensorflow as tf

from core.keras_worker.child import Child
from core.keras_worker.dataset import open_dataset
from core.keras_worker.errors import Refused
from core.keras_worker.export import largest_difference
from core.keras_worker.pool import ChildPool, PoolOptions
from tests.unit.keras_worker.stored_models import ask
from tests.unit.keras_worker.test_results import mixed_table, write_mixed
from tests.unit.keras_worker.trainings import Job

pytestmark = pytest.mark.asyncio(loop_scope="session")

layers = keras.layers
Rows = np.ndarray
FLOAT32 = ("tflite", "onnx", "saved_model", "script")


def network(features: int, *hidden: Any, outputs: int = 1) -> Any:
    return keras.Sequential([keras.Input((features,)), *hidden, layers.Dense(outputs)])


def mlp() -> Any:
    """gelu becomes operations that ONNX lacks, Normalization constants that are no weights."""
    return network(6, layers.Normalization(mean=0.5, variance=2.0), layers.Dense(64, "gelu"), layers.Dense(32, "celu"))


def cnn() -> Any:
    """Augmentation must not go on after the training; that of MixUp has a state also then."""
    return network(
        64,
        layers.Reshape((8, 8, 1)),
        layers.RandomFlip("horizontal_and_vertical"),
        layers.MixUp(),
        layers.Conv2D(8, 3, activation="relu"),
        layers.BatchNormalization(),
        layers.Dropout(0.5),
        layers.Flatten(),
        outputs=3,
    )


def lstm() -> Any:
    """Recurrent dropout has a state, which no frozen file may have."""
    return network(12, layers.Reshape((4, 3)), layers.LSTM(4, dropout=0.2, recurrent_dropout=0.2))


def bidirectional_gru() -> Any:
    return network(12, layers.Reshape((4, 3)), layers.Bidirectional(layers.GRU(4, recurrent_dropout=0.2)))


NETWORKS: dict[str, Callable[[], Any]] = {
    "mlp": mlp,
    "cnn": cnn,
    "lstm": lstm,
    "bidirectional gru": bidirectional_gru,
}


class Stored:
    """A model as `finish` leaves it, without a training before."""

    def __init__(self, model: Any, folder: Path) -> None:
        from core.keras_worker.artifacts import save_model

        self.model, self.folder = model, folder
        features = model.inputs[0].shape[1]
        number = {"kind": "number", "missing": None, "mean": None, "deviation": None}
        columns = [{"name": f"x{at}", **number} for at in range(features)]
        target = {"name": "y", "form": "number", "classes": None}
        save_model(model, {"columns": columns, "target": target, "decimal_mark": "."}, folder / "model.keras")
        self.sample = np.random.default_rng(5).standard_normal((64, features)).astype(np.float32)
        np.save(folder / "sample.npy", self.sample)

    async def export(self, child: Child, kind: str) -> tuple[Path, dict[str, Any]]:
        return await export(child, self.folder, self.folder, kind)

    def keras(self, rows: Rows) -> Rows:
        return np.asarray(self.model(rows, training=False))


async def export(child: Child, inputs: Path, folder: Path, kind: str) -> tuple[Path, dict[str, Any]]:
    output = folder / f"exported-{kind}"
    arguments = {"model": str(inputs / "model.keras"), "sample": str(inputs / "sample.npy"), "format": kind}
    return output, await child.call("export", arguments | {"output": str(output), "name": "job_1_model.keras"})


def run_tflite(file: Path, rows: Rows) -> Rows:
    """Row by row, as every TFLite file can be run."""
    interpreter: Any = tf.lite.Interpreter(model_path=str(file))
    run = interpreter.get_signature_runner()
    return np.concatenate([next(iter(run(features=row[None]).values())) for row in rows])


def run_onnx(file: Path, rows: Rows) -> Rows:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["predictions"], {"features": rows})[0])


def run_saved_model(file: Path, rows: Rows) -> Rows:
    with zipfile.ZipFile(file) as archive:
        archive.extractall(file.with_suffix(".unpacked"))
    loaded: Any = tf.saved_model.load(str(file.with_suffix(".unpacked") / "saved_model"))
    return loaded.signatures["serving_default"](features=tf.constant(rows))["predictions"].numpy()


RUNTIMES = {"tflite": run_tflite, "onnx": run_onnx, "saved_model": run_saved_model}


@pytest.mark.parametrize("name", NETWORKS)
async def test_every_format_gives_what_keras_gives(name: str, pool: ChildPool, tmp_path: Path) -> None:
    stored = Stored(NETWORKS[name](), tmp_path)
    others = np.random.default_rng(6).standard_normal((5, stored.sample.shape[1])).astype(np.float32)
    async with pool.child("tensorflow") as child:
        for kind in (*FLOAT32, "tflite_quantized"):
            file, told = await stored.export(child, kind)
            assert told["bytes"] == file.stat().st_size and told["rows"] == 64
            assert told["difference"] <= told["tolerance"]
            assert ("note" in told) == (kind.startswith("tflite") and name not in ("mlp", "cnn"))
            if kind in FLOAT32:
                assert told["difference"] < 1e-5
            if kind in RUNTIMES:
                # The command saw other rows, and itself made the comparison.
                np.testing.assert_allclose(RUNTIMES[kind](file, others), stored.keras(others), atol=1e-5)


async def test_quantised_weights_take_a_quarter_of_the_room(pool: ChildPool, tmp_path: Path) -> None:
    stored = Stored(network(50, layers.Dense(400, "relu"), layers.Dense(100, "relu")), tmp_path)
    async with pool.child("tensorflow") as child:
        _, plain = await stored.export(child, "tflite")
        _, quantized = await stored.export(child, "tflite_quantized")
    assert quantized["bytes"] < 0.3 * plain["bytes"]
    assert plain["difference"] < quantized["difference"] <= quantized["tolerance"]


@pytest.mark.parametrize(
    ("kind", "hidden", "told"),
    [
        (
            "tflite",
            [layers.Reshape((4, 4, 4, 1)), layers.MaxPooling3D(name="pool"), layers.Flatten()],
            "TFLite has no MaxPool3D, which this network needs (layer pool). Export it as onnx or saved_model instead.",
        ),
        (
            "onnx",
            [layers.Discretization([0.0, 0.5], name="bins")],
            "ONNX has no Bucketize, which this network needs (layer bins). Export it as tflite or saved_model instead.",
        ),
    ],
)
async def test_what_a_format_cannot_express_is_told_with_the_layer_and_what_to_use_instead(
    kind: str, hidden: list[Any], told: str, pool: ChildPool, tmp_path: Path
) -> None:
    stored = Stored(network(64, *hidden), tmp_path)
    async with pool.child("tensorflow") as child:
        with pytest.raises(Refused) as refused:
            await stored.export(child, kind)
    assert str(refused.value) == told
    assert not (tmp_path / f"exported-{kind}").exists()


async def test_a_file_that_does_not_give_what_keras_gives_is_refused(pool: ChildPool, tmp_path: Path) -> None:
    stored = Stored(network(64, layers.Dense(64, use_bias=False)), tmp_path)
    # One huge weight in each unit, for a column that is always 0: 8 bits leave nothing of the others.
    weights = stored.model.layers[0].get_weights()[0] * 1e-3
    weights[0] = 1e3
    stored.model.layers[0].set_weights([weights])
    stored = Stored(stored.model, tmp_path)
    stored.sample[:, 0] = 0
    np.save(tmp_path / "sample.npy", stored.sample)
    async with pool.child("tensorflow") as child:
        _, plain = await stored.export(child, "tflite")
        with pytest.raises(Refused, match="does not give what Keras gives"):
            await stored.export(child, "tflite_quantized")
    assert plain["difference"] <= plain["tolerance"]
    assert not (tmp_path / "exported-tflite_quantized").exists()


async def test_the_script_prepares_and_labels_as_the_training_did(pool: ChildPool, tmp_path: Path) -> None:
    """Texts, gaps, standardised columns, a decimal comma, the columns in another order: run by a Python of its own."""
    job = Job(mixed_table(), tmp_path)
    write_mixed(job)
    rows = [["green", "900,5"], ["", "1000"], ["blue", ""], ["n/a", " 7e2 "]]
    async with pool.child("tensorflow") as child:
        await job.run(child)
        script, told = await export(child, tmp_path / "artifacts", tmp_path, "script")
        plain = [[text, number.replace(",", ".")] for text, number in rows]
        model = tmp_path / "artifacts" / "model.keras"
        wanted = (await ask(child, model, {"instances": plain}))["predictions"]
    assert told["difference"] <= told["tolerance"]
    # It was compared on rows of the training, those of the test first.
    data, sample = open_dataset(tmp_path, job.sample.params), np.load(tmp_path / "artifacts" / "sample.npy")
    assert len(sample) == told["rows"] == 64
    assert (sample[:12] == data.x[data.split.test]).all()
    assert "job_1_model.keras" in script.read_text("utf-8")
    place = tmp_path / "elsewhere"
    place.mkdir()
    (place / "predict.py").write_bytes(script.read_bytes())
    (place / "job_1_model.keras").write_bytes(model.read_bytes())
    table = [["x1", "unused", "x0"], *([number.replace(",", "."), "-", text] for text, number in rows)]
    with (place / "rows.csv").open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file, delimiter=";").writerows(table)
    done = run_script(place, "rows.csv", "out.csv")
    assert done.returncode == 0, done.stderr
    header, *predictions = csv.reader((place / "out.csv").read_text("utf-8").splitlines())
    assert header == ["prediction"]
    np.testing.assert_allclose(np.array(predictions, float), wanted, rtol=1e-5)


async def test_the_script_names_the_cells_it_cannot_read(pool: ChildPool, tmp_path: Path) -> None:
    stored = Stored(network(2), tmp_path)
    async with pool.child("tensorflow") as child:
        script, _ = await stored.export(child, "script")
    read = runpy.run_path(str(script))
    number = {"kind": "number", "missing": None, "mean": None, "deviation": None}
    text = number | {"kind": "text", "categories": ["blue", "green"]}
    preparation = {"columns": [{"name": "a", **text}, {"name": "b", **number}], "decimal_mark": ","}
    with pytest.raises(SystemExit) as ended:
        read["prepare"](preparation, [(2, ["red", "1,5"]), (3, ["blue", "x"]), (4, ["blue", ""])])
    assert str(ended.value.code).splitlines() == [
        "Row 2, column 'a': 'red' was not among the values of the training.",
        "Row 3, column 'b': 'x' is not a number.",
        "Row 4, column 'b': the value is missing, and in the training none was.",
    ]
    assert read["prepare"](preparation, [(2, ["green", "1,5"])]).tolist() == [[1.0, 1.5]]
    labels = read["likeliest"]([0, "=1+1"], np.array([[0.4], [0.6], [np.nan]]))
    assert [read["as_text"](label) for label in labels] == [0, "'=1+1", ""]
    assert read["header_of"](None, 2) == ["prediction_1", "prediction_2"]
    assert read["header_of"](["no", "yes"], 1) == ["prediction", "output"]
    assert read["header_of"](["a", "b", "c"], 3) == ["prediction", "output_a", "output_b", "output_c"]


def run_script(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """As a person would, without anything of this project on the path."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "SYSTEMROOT") if name in os.environ}
    command = [sys.executable, "predict.py", *arguments]
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)


async def test_what_converters_print_does_not_disturb_a_child_that_speaks_over_its_streams(tmp_path: Path) -> None:
    stored, spawning = Stored(lstm(), tmp_path), ChildPool(PoolOptions(start="spawn", keep=0))
    async with spawning.child("tensorflow") as child:
        _, told = await stored.export(child, "tflite")
    assert told["difference"] <= told["tolerance"]
    await spawning.close()
    # Closed means gone: the threads of the converters do not outlive the first one.
    assert threads_of(child.pid) <= 1


def threads_of(pid: int) -> int:
    try:
        return psutil.Process(pid).num_threads()
    except psutil.NoSuchProcess:
        return 0


@pytest.mark.parametrize(
    ("given", "wanted", "difference"),
    [
        ([1.0, 2.0], [1.0, 2.5], 0.5),
        ([np.nan, 1.0], [np.nan, 1.0], 0.0),
        ([np.inf, 1.0], [np.inf, 1.0], 0.0),
        ([np.nan], [1.0], np.inf),
        ([1.0], [np.nan], np.inf),
        ([np.inf], [1.0], np.inf),
        ([1.0], [1.0, 2.0], np.inf),
    ],
)
async def test_nan_is_no_difference_only_where_both_have_it(
    given: list[float], wanted: list[float], difference: float
) -> None:
    assert largest_difference(np.array([given], np.float32), np.array([wanted], np.float32)) == difference
