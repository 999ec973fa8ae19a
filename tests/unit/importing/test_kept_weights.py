"""What is kept of the weights in a model file: numbers, by the layer they belong to; of all else a sentence is said."""

from __future__ import annotations

import errno
import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from core.keras_worker.errors import Refused
from core.keras_worker.read_model import read_model_file
from core.keras_worker.weights_file import DTYPES, KeptWeights, WeightsWriter, read_weights
from tests.unit.importing.corpus import LIMITS, dense, hdf5, keras_file, layer, metadata_pb, saved_model, sequential

Fill = Callable[[h5py.File], Any]
KERNEL = np.arange(8, dtype="f4").reshape(4, 2)
BIAS = np.ones(2, "f4")


def read(folder: Path, content: bytes, name: str = "m.keras", **limits: int) -> dict[str, Any]:
    path = folder / f"model{Path(name).suffix}"
    path.write_bytes(content)
    return read_model_file({"path": str(path), "limits": {**LIMITS, **limits}})


def keras_3(fill: Fill, *layers: Any) -> bytes:
    return keras_file(sequential(*(layers or [dense()])), **{"model.weights.h5": hdf5(fill)})


def put(file: h5py.File, place: str, *arrays: Any) -> None:
    for number, array in enumerate(arrays):
        file[f"{place}/vars/{number}"] = array


def kept(folder: Path, answer: dict[str, Any]) -> KeptWeights:
    assert answer["weights"] is not None, answer["weights_note"]
    return read_weights(folder / "weights.bin")


def test_a_layer_is_found_by_its_class_and_number_and_kept_to_the_last_bit(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        put(file, "layers/dense", KERNEL, BIAS)
        put(file, "layers/dense_1", KERNEL.astype(">f8"), BIAS.astype("f2"))
        put(file, "optimizer", KERNEL)

    answer = read(tmp_path, keras_3(fill, dense("one"), dense("two")))
    assert answer["weights"] == {"layers": 2, "parameters": 20} and answer["weights_note"] == ""
    weights = kept(tmp_path, answer)
    assert not weights.named and weights.layers.keys() == {("one",), ("two",)}
    one, two = (weights.layers[path,].arrays for path in ("one", "two"))
    assert (one["0"] == KERNEL).all() and (one["1"] == BIAS).all()
    assert two["0"].dtype == np.float64 and (two["0"] == KERNEL).all() and two["1"].dtype == np.float16


def test_packed_weights_larger_than_a_block_are_kept_whole(tmp_path: Path) -> None:
    array = np.random.default_rng(0).standard_normal((3000, 1000)).astype("f4")

    def fill(file: h5py.File) -> None:
        file.create_dataset("layers/dense/vars/0", data=array, chunks=(70, 300), compression="gzip", shuffle=True)

    answer = read(tmp_path, keras_3(fill), weights_bytes=20_000_000)
    assert (kept(tmp_path, answer).layers["d",].arrays["0"] == array).all()


def test_operations_are_not_counted_among_the_layers_of_their_name(tmp_path: Path) -> None:
    operation = {**dense("sum"), "module": "keras.src.ops.numpy"}
    answer = read(tmp_path, keras_3(lambda file: put(file, "layers/dense", KERNEL), operation, dense("one")))
    assert kept(tmp_path, answer).layers.keys() == {("one",)}


def test_numbers_left_out_by_keras_2_12_do_not_mix_layers_up(tmp_path: Path) -> None:
    """Its groups count a layer with weights twice: dense, dense_2, dense_4."""

    def fill(file: h5py.File) -> None:
        for number, name in enumerate(["dense", "dense_10", "dense_2"]):
            put(file, f"_layer_checkpoint_dependencies/{name}", KERNEL + number)
        put(file, "_layer_checkpoint_dependencies/sequential/_layer_checkpoint_dependencies/dense_7", BIAS)
        put(file, "_layer_checkpoint_dependencies/gru/cell", BIAS)

    inner = {"class_name": "Sequential", "config": {"name": "s", "layers": [dense("inside")]}}
    layers = [dense("one"), inner, dense("two"), dense("three"), layer("GRU", units=2), layer("GRU", units=2)]
    weights = kept(tmp_path, read(tmp_path, keras_3(fill, *layers))).layers
    assert [int(weights[name,].arrays["0"][0, 0]) for name in ("one", "two", "three")] == [0, 2, 1]
    assert weights.keys() == {("one",), ("two",), ("three",), ("s", "inside")}


def test_older_files_are_read_by_the_names_of_their_weights(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        for name, weights in {"one": ["one/kernel:0", "one/bias:0"], "s": ["conv1/b/kernel:0", "c/d/kernel:0"]}.items():
            group = file.create_group(f"model_weights/{name}")
            for number, weight in enumerate(weights):
                group.attrs[f"weight_names{number}"] = [weight]
                group[weight] = KERNEL + number

    inner = {"class_name": "Sequential", "config": {"name": "s", "layers": [dense("conv1/b"), dense("d")]}}
    content = hdf5(fill, sequential(dense("one"), inner))
    weights = kept(tmp_path, read(tmp_path, content, "m.h5"))
    assert weights.named
    assert {path: [*saved.arrays] for path, saved in weights.layers.items()} == {
        ("one",): ["one/kernel", "one/bias"],
        ("s", "conv1/b"): ["conv1/b/kernel"],
        ("s", "d"): ["c/d/kernel"],
    }


def infinite(file: h5py.File) -> None:
    put(file, "layers/dense", KERNEL, np.array([1, np.nan], "f4"))


def texts(file: h5py.File) -> None:
    put(file, "layers/dense", np.array(["os", "system"], dtype=h5py.string_dtype()))


def records(file: h5py.File) -> None:
    put(file, "layers/dense", np.zeros(2, dtype=[("a", "f4"), ("b", "i4")]))


def references(file: h5py.File) -> None:
    file.create_dataset("layers/dense/vars/0", (2,), dtype=h5py.ref_dtype)


def ragged(file: h5py.File) -> None:
    file.create_dataset("layers/dense/vars/0", (2,), dtype=h5py.vlen_dtype("f4"))


def opaque(file: h5py.File) -> None:
    put(file, "layers/dense", np.zeros(2, "V2"))


def no_space(file: h5py.File) -> None:
    put(file, "layers/dense", h5py.Empty("f4"))


def long_double(file: h5py.File) -> None:
    put(file, "layers/dense", np.zeros(2, np.longdouble))


def rare_filter(file: h5py.File) -> None:
    file.create_dataset("layers/dense/vars/0", data=KERNEL, compression="lzf")


@pytest.mark.parametrize(
    ("fill", "told"),
    [
        (infinite, "NaN or infinity"),
        *((fill, "of a type that is no weight's") for fill in (texts, records, references, ragged, opaque)),
        *((fill, "of a type that is no weight's") for fill in (no_space, long_double)),
        (rare_filter, "packed by a rare filter"),
    ],
)
def test_what_is_no_usable_number_is_told_and_the_other_layers_are_kept(tmp_path: Path, fill: Fill, told: str) -> None:
    def both(file: h5py.File) -> None:
        fill(file)
        put(file, "layers/dense_1", KERNEL)

    alone = read(tmp_path, keras_3(fill, dense("bad")))
    assert alone["weights"] is None and told in alone["weights_note"] and "'bad'" in alone["weights_note"]
    answer = read(tmp_path, keras_3(both, dense("bad"), dense("good")))
    assert answer["weights"] == {"layers": 1, "parameters": 8} and told in answer["weights_note"]
    weights = kept(tmp_path, answer).layers
    assert told in weights["bad",].problem and weights["good",].problem == ""


@pytest.mark.parametrize(
    "content",
    [
        keras_file(sequential(dense())),
        keras_3(lambda file: file.create_dataset("layers", (3,), "f4")),
        keras_3(lambda file: file.create_dataset("layers/dense", (3,), "f4")),
        keras_3(lambda file: put(file, "layers/dense", KERNEL), layer("Dropout", rate=0.5)),
        keras_3(lambda file: file.create_group("layers").__setitem__("layers", file["layers"])),
        keras_file(sequential(dense()), **{"other.h5": hdf5(lambda file: put(file, "layers/dense", KERNEL))}),
    ],
)
def test_a_file_without_weights_says_that_there_are_none(tmp_path: Path, content: bytes) -> None:
    answer = read(tmp_path, content)
    assert answer["weights"] is None and "No weights were found" in answer["weights_note"]


def test_more_weights_than_are_kept_are_left_out_with_a_sentence(tmp_path: Path) -> None:
    content = keras_3(lambda file: file.create_dataset("layers/dense/vars/0", (1000, 1000), "f4", chunks=(1000, 10)))
    answer = read(tmp_path, content)
    assert answer["weights"] is None and "4,000,000 bytes" in answer["weights_note"]
    assert not (tmp_path / "weights.bin").exists()


def test_a_full_disk_costs_the_weights_but_not_the_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: WeightsWriter, block: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(WeightsWriter, "append", full)
    answer = read(tmp_path, keras_3(lambda file: put(file, "layers/dense", KERNEL)))
    assert answer["weights"] is None and "disk of this instance is full" in answer["weights_note"]
    assert answer["model"]["class_name"] == "Sequential" and not (tmp_path / "weights.bin").exists()


def test_the_weights_of_a_saved_model_are_not_read_and_a_sentence_says_so(tmp_path: Path) -> None:
    metadata = json.dumps({"class_name": "Sequential", "model_config": sequential(dense())})
    answer = read(tmp_path, saved_model(metadata_pb(("root", metadata))), "m.zip")
    assert answer["weights"] is None and "SavedModel are not read" in answer["weights_note"]


def test_names_of_weights_that_are_no_names_are_refused(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file.create_group("model_weights/d").attrs["weight_names"] = [1, 2]

    with pytest.raises(Refused, match="weight_names in the HDF5 file is no list of names"):
        read(tmp_path, hdf5(fill), "m.h5")


def sealed(index: Any, arrays: bytes = b"") -> bytes:
    """A file of weights with a right seal, whatever its index says."""
    body = json.dumps(index).encode()
    return arrays + body + struct.pack("<Q32s8s", len(body), hashlib.sha256(arrays + body).digest(), b"weights1")


def one_array(dtype: Any, shape: Any) -> Any:
    return {"named": False, "layers": [{"path": ["d"], "problem": "", "arrays": [["0", dtype, shape]]}]}


GOOD = sealed(one_array("float32", [2]), bytes(8))


def test_the_crafted_file_would_be_read_if_it_were_good(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(GOOD)
    assert (read_weights(tmp_path / "weights.bin").layers["d",].arrays["0"] == 0).all()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        GOOD[:20],
        GOOD[1:],
        GOOD[:-1] + b"2",
        b"\1" + GOOD[1:],
        GOOD.replace(b'"0"', b'"1"'),
        sealed([]),
        sealed({"named": False, "layers": [3]}),
        sealed(one_array("float32", [3]), bytes(8)),
        sealed(one_array("float32", [2**62]), bytes(8)),
        sealed(one_array("float32", [-2]), bytes(8)),
        sealed(one_array("float32", ["2"]), bytes(8)),
        sealed(one_array("object", [1]), bytes(8)),
        sealed(one_array("S8", [1]), bytes(8)),
        sealed(one_array({"a": 1}, [1]), bytes(8)),
    ],
)
def test_a_file_of_weights_that_is_not_just_so_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "weights.bin").write_bytes(content)
    with pytest.raises(Refused, match="weights of the import are damaged"):
        read_weights(tmp_path / "weights.bin")


def test_no_kind_of_number_that_is_kept_holds_a_pointer() -> None:
    assert {np.dtype(name).kind for name in DTYPES} == {"f", "i", "u"}
