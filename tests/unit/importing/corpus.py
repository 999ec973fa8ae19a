"""Crafted model files: one for each thing that import refuses, with the words it must say, and the CVE behind it."""

from __future__ import annotations

import io
import json
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

# What the crafted files are read with: small, so that the files can be small too.
LIMITS = {"files": 50, "bytes": 20_000_000, "config_bytes": 200_000, "weights_bytes": 1_000_000}

# A file beside the reader's current folder: where HDF5 looks for a relative name.
POINTED_AT = "pointed_at"

Write = Callable[[Path], None]


def dense(name: str = "d", **config: Any) -> dict[str, Any]:
    """A Dense layer as Keras 3 writes it."""
    return {
        "module": "keras.layers",
        "class_name": "Dense",
        "config": {"name": name, "units": 2, **config},
        "registered_name": None,
    }


def sequential(*layers: Any) -> dict[str, Any]:
    first = {"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_shape": [None, 4], "name": "x"}}
    config = {"name": "crafted", "layers": [first, *layers]}
    return {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": "Sequential"}


def layer(class_name: str, module: str | None = "keras.layers", **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": class_name, "config": {"name": "evil", **config}}


def archive(members: Mapping[str, bytes | str], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as packed:
        for name, content in members.items():
            # The name as given: ZipInfo alone would make a relative path of it.
            info = zipfile.ZipInfo("member")
            info.filename, info.compress_type = name, compression
            packed.writestr(info, content)
    return buffer.getvalue()


def keras_file(config: Any, **members: bytes | str) -> bytes:
    text = config if isinstance(config, str) else json.dumps(config)
    metadata = json.dumps({"keras_version": "3.12.4", "date_saved": "2026-01-01@00:00:00"})
    return archive({"metadata.json": metadata, "config.json": text, **members})


def hdf5(fill: Callable[[h5py.File], Any], config: Any = None) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["model_config"] = json.dumps(config or sequential(dense()))
        file.attrs["keras_version"] = "2.15.0"
        fill(file)
    return buffer.getvalue()


def hdf5_on_disk(fill: Callable[[h5py.File], Any]) -> Write:
    """External storage and links need a file with a name."""

    def write(path: Path) -> None:
        with h5py.File(path, "w") as file:
            file.attrs["model_config"] = json.dumps(sequential(dense()))
            fill(file)

    return write


def with_weights(fill: Callable[[h5py.File], Any]) -> bytes:
    """A .keras file whose weights are the HDF5 file."""
    return keras_file(sequential(dense()), **{"model.weights.h5": hdf5(fill)})


def external_storage(file: h5py.File) -> None:
    file.create_dataset("w", (16,), dtype="u1", external=[(POINTED_AT, 0, 16)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(shape=(4,), dtype="f4")
    layout[:] = h5py.VirtualSource(POINTED_AT, "w", shape=(4,))
    file.create_virtual_dataset("w", layout)


def external_link(file: h5py.File) -> None:
    file["w"] = h5py.ExternalLink(POINTED_AT, "/secret")


def soft_link(file: h5py.File) -> None:
    file["w"] = h5py.SoftLink("/elsewhere/secret")


def shape_bomb(file: h5py.File) -> None:
    """Chunked storage takes no room before it is written: 4 TB in a file of 2 KB."""
    file.create_dataset("w", (1_000_000, 1_000_000), dtype="f4", chunks=(1000, 1000))


def many_small_bombs(file: h5py.File) -> None:
    for number in range(40):
        file.create_dataset(f"w{number}", (1000, 1000), dtype="f4", chunks=(100, 100))


def symlink() -> bytes:
    info = zipfile.ZipInfo("model.weights.h5")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    buffer = io.BytesIO(keras_file(sequential(dense())))
    with zipfile.ZipFile(buffer, "a") as packed:
        packed.writestr(info, "/etc/passwd")
    return buffer.getvalue()


def duplicate(first: str, second: str) -> bytes:
    buffer = io.BytesIO(keras_file(sequential(dense())))
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "a") as packed:
        warnings.simplefilter("ignore")  # about just this
        for name in (first, second):
            info = zipfile.ZipInfo("member")
            info.filename = name
            packed.writestr(info, "{}")
    return buffer.getvalue()


def encrypted() -> bytes:
    """The flag alone: it stands in the local header and in the directory."""
    content = bytearray(keras_file(sequential(dense())))
    for magic, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        position = content.find(magic)
        while position >= 0:
            content[position + flags] |= 1
            position = content.find(magic, position + 4)
    return bytes(content)


def lying_size(declared: int) -> bytes:
    """A member that unpacks to far more than the directory says."""
    content = bytearray(archive({"config.json": b" " * 5_000_000}, zipfile.ZIP_DEFLATED))
    for magic, size in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        position = content.find(magic)
        content[position + size : position + size + 4] = struct.pack("<I", declared)
    return bytes(content)


def deep(levels: int) -> str:
    return '{"class_name":"Sequential","config":' + "[" * levels + "]" * levels + "}"


def metadata_pb(*nodes: tuple[str, str]) -> bytes:
    """A keras_metadata.pb of (path, metadata) as Keras 2 writes it."""

    def varint(value: int) -> bytes:
        encoded = b""
        while value > 0x7F:
            encoded, value = encoded + bytes([value & 0x7F | 0x80]), value >> 7
        return encoded + bytes([value])

    def field(number: int, content: bytes) -> bytes:
        return varint(number << 3 | 2) + varint(len(content)) + content

    encoded = b""
    for path, metadata in nodes:
        kind = field(4, b"_tf_keras_network")
        node = field(1, b"\x08\x01") + b"\x10\x02" + field(3, path.encode()) + kind + field(5, metadata.encode())
        encoded += field(1, node)
    return encoded


def saved_model(metadata: bytes | None, folder: str = "my_model/") -> bytes:
    members: dict[str, bytes | str] = {
        f"{folder}saved_model.pb": b"\x08\x01",
        f"{folder}variables/variables.index": b"\0",
    }
    return archive(members | ({f"{folder}keras_metadata.pb": metadata} if metadata is not None else {}))


_LAMBDA = layer("Lambda", function={"class_name": "__lambda__", "config": {"code": "4wEAAAAA", "defaults": None}})
_WHOLE = keras_file(
    sequential(dense()), **{"model.weights.h5": hdf5(lambda file: file.create_dataset("w", (9,), "f4"))}
)


def weighted(file: h5py.File) -> None:
    file.create_dataset("layers/dense/vars/0", data=np.ones((4, 2), "f4"), chunks=(2, 2), compression="gzip")
    file["layers/dense/vars/1"] = np.array(["a text"], dtype=h5py.string_dtype())
    file["layers/dense_1/vars/0"] = np.ones(2)


def weighted_by_name(file: h5py.File) -> None:
    file["model_weights/d/d/kernel:0"] = np.ones((4, 2), "f4")
    file["model_weights/d"].attrs["weight_names"] = ["d/kernel:0"]


# By file name: content (or what writes it), and words of the sentence.
REFUSED: dict[str, tuple[bytes | Write, str]] = {
    # zips
    "many_files.zip": (archive({f"f{number}": b"" for number in range(51)}), "holds 51 files"),
    "large_when_unpacked.zip": (
        archive({f"f{number}": np.random.default_rng(0).bytes(5_000_001) for number in range(4)}),
        "unpacks to 20,000,004 bytes",
    ),
    "ratio.zip": (archive({"model.h5": b"\0" * 5_000_000}, zipfile.ZIP_DEFLATED), "more than 100 times"),
    "ratio.keras": (archive({"config.json": b" " * 5_000_000}, zipfile.ZIP_DEFLATED), "more than 100 times"),
    "lying_size.keras": (lying_size(100), "damaged or was cut off"),
    "nested.zip": (archive({"a/inner.zip": archive({"model.h5": b""})}), "zip inside the zip"),
    "nested_by_content.zip": (archive({"model.h5": b"x", "notes.txt": archive({"a": b""})}), "zip inside the zip"),
    "nested.keras": (keras_file(sequential(dense()), **{"assets/a.txt": archive({"a": b""})}), "zip inside the zip"),
    "keras_in_keras.zip": (
        archive({"model.keras": keras_file(sequential(dense()), inner=archive({"a": b""}))}),
        "zip inside the zip",
    ),
    "absolute.keras": (keras_file(sequential(dense()), **{"/etc/cron.d/x": b""}), "absolute path"),
    "drive.keras": (keras_file(sequential(dense()), **{"C:/x": b""}), "absolute path"),
    "parent.keras": (keras_file(sequential(dense()), **{"a/../../x": b""}), "by '..'"),
    "parent_backslash.keras": (keras_file(sequential(dense()), **{"..\\x": b""}), "by '..'"),
    "backslash.keras": (keras_file(sequential(dense()), **{"a\\x": b""}), "no file name"),
    "symlink.keras": (symlink(), "symbolic link"),
    "duplicate.keras": (duplicate("other.json", "other.json"), "twice"),
    "duplicate_config.keras": (duplicate("config.json", "x"), "twice"),
    "duplicate_by_case.keras": (duplicate("A.json", "a.json"), "twice"),
    "encrypted.keras": (encrypted(), "encrypted"),
    "bzip2.keras": (archive({"config.json": b"{}"}, zipfile.ZIP_BZIP2), "rare method"),
    "truncated.keras": (_WHOLE[: len(_WHOLE) // 2], "damaged or was cut off"),
    "flipped.keras": (_WHOLE.replace(b"crafted", b"cr4fted"), "damaged or was cut off"),
    "magic.keras": (b"\x89PNG\r\n\x1a\n", "no zip"),
    "hdf5_inside.keras": (hdf5(lambda file: None), "name it .h5"),
    "empty.keras": (b"", "no zip"),
    "empty.zip": (archive({}), "empty"),
    "no_model.zip": (archive({"readme.txt": b"hello"}), "no model"),
    "two_models.zip": (archive({"a.h5": b"", "b.keras": b""}), "2 models"),
    "no_config.keras": (archive({"metadata.json": "{}"}), "no config.json"),
    # HDF5
    "external_storage.h5": (hdf5_on_disk(external_storage), "external storage"),
    "external_storage.keras": (with_weights(external_storage), "external storage"),
    "external_link.h5": (hdf5_on_disk(external_link), "external link"),
    "external_link.keras": (with_weights(external_link), "external link"),
    "soft_link.h5": (hdf5(soft_link), "soft link"),
    "virtual.h5": (hdf5_on_disk(virtual), "virtual data set"),
    "virtual.keras": (with_weights(virtual), "virtual data set"),
    "shape_bomb.h5": (hdf5(shape_bomb), "declare more than"),
    "shape_bomb.keras": (with_weights(shape_bomb), "declare more than"),
    "many_small_bombs.h5": (hdf5(many_small_bombs), "declare more than"),
    "deep_groups.h5": (hdf5(lambda file: file.create_group("/".join("g" * 80))), "more deeply nested"),
    "truncated.h5": (hdf5(lambda file: file.create_dataset("w", (5000,), "f4"))[:3000], "damaged or was cut off"),
    "magic.h5": (b"PK\x03\x04 not HDF5", "name it .keras or .zip"),
    "weights_only.h5": (hdf5(lambda file: file.attrs.pop("model_config")), "weights but no model"),
    "config_is_numbers.h5": (hdf5(lambda file: file.attrs.__setitem__("model_config", [1, 2])), "no text"),
    "huge_config.h5": (hdf5(lambda file: file.attrs.__setitem__("model_config", "x" * 300_000)), "more than 200,000"),
    # configs
    "lambda.keras": (keras_file(sequential(_LAMBDA)), "carries Python code"),
    "lambda.h5": (hdf5(lambda file: None, sequential(_LAMBDA)), "carries Python code"),
    "wrapped_lambda.keras": (keras_file(sequential(layer("TimeDistributed", layer=_LAMBDA))), "carries Python code"),
    "registered_lambda.keras": (keras_file(sequential(layer("keras>Lambda"))), "carries Python code"),
    "marshalled_activation.keras": (
        keras_file(sequential(dense(activation={"class_name": "__lambda__", "config": {"value": "4wEA"}}))),
        "carries Python code",
    ),
    "module_os.keras": (
        keras_file(sequential({"module": "os", "class_name": "function", "config": "system"})),
        "from the module os",
    ),
    "module_in_parameter.keras": (
        keras_file(sequential(dense(kernel_initializer=layer("run", "subprocess")))),
        "from the module subprocess",
    ),
    "get_file.keras": (
        keras_file(sequential(dense(activation=layer("get_file", "keras.utils", origin="http://127.0.0.1/")))),
        "from the module keras.utils",
    ),
    "enable_unsafe.keras": (
        keras_file(sequential(layer("enable_unsafe_deserialization", "keras.config"))),
        "from the module keras.config",
    ),
    "custom_layer.keras": (keras_file(sequential(layer("Mine", "my_package.layers"))), "my_package.layers"),
    "tfsm.keras": (keras_file(sequential(layer("TFSMLayer", filepath="saved"))), "TensorFlow program"),
    "torch.keras": (keras_file(sequential(layer("TorchModuleWrapper", module="gASV"))), "PyTorch module"),
    "vocabulary.keras": (keras_file(sequential(layer("StringLookup", vocabulary="/etc/passwd"))), "from a file"),
    "deep.keras": (keras_file(deep(5000)), "nested more than"),
    "rather_deep.keras": (keras_file(deep(150)), "nested more than"),
    "huge.keras": (keras_file(json.dumps(sequential(dense())) + " " * 200_000), "at most 200,000"),
    "no_json.keras": (keras_file("{'class_name': 1}"), "not valid JSON"),
    "no_utf8.keras": (archive({"config.json": b"\xff\xfe{}"}), "not valid JSON"),
    "no_object.keras": (keras_file("[]"), "no JSON object"),
    "infinity.keras": (keras_file(sequential(dense()) | {"x": float("inf")}), "Infinity"),
    "overflow.keras": (keras_file('{"class_name": 1e999}'), "1e999"),
    # SavedModels
    "saved_model.zip": (saved_model(None), "model.save('model.keras')"),
    "saved_model_without_root.zip": (saved_model(metadata_pb(("root.layer-0", "{}"))), "model.save('model.keras')"),
    "saved_model_subclassed.zip": (
        saved_model(metadata_pb(("root", '{"class_name": "Mine"}'))),
        "model.save('model.keras')",
    ),
    "saved_model_truncated.zip": (saved_model(metadata_pb(("root", "{}"))[:-4]), "keras_metadata.pb is damaged"),
    "saved_model_lambda.zip": (
        saved_model(metadata_pb(("root", json.dumps({"model_config": sequential(_LAMBDA)})))),
        "carries Python code",
    ),
}

# Files as people have them, beside those that Keras writes in `saved_models`.
READ: dict[str, bytes] = {
    "plain.keras": keras_file(sequential(dense())),
    "own_loss.keras": keras_file(
        sequential({**dense(), "build_config": {"input_shape": [None, 4]}})
        | {"compile_config": {"loss": layer("MyLoss", "my_package")}}
    ),
    "weights.keras": with_weights(weighted),
    "weights.h5": hdf5(weighted_by_name),
    "plain.h5": hdf5(lambda file: file.create_dataset("layers/d/w", (9,), "f4")),
    "fixed_length_text.h5": hdf5(
        lambda file: file.attrs.create("model_config", np.bytes_(json.dumps(sequential(dense()))))
    ),
    "tf_keras.keras": keras_file(sequential(dense()) | {"module": "tf_keras.src.engine.sequential"}),
    "packed.zip": archive({"model.keras": _WHOLE, "__MACOSX/._model.keras": b"PK\x03\x04", "readme.txt": b"hello"}),
    "packed_h5.zip": archive({"folder/": b"", "folder/model.h5": hdf5(lambda file: None)}, zipfile.ZIP_DEFLATED),
    "keras_named_zip.zip": _WHOLE,
    "saved_model_keras_2.zip": saved_model(
        metadata_pb(
            ("root.layer-0", '{"name": "x"}'),
            (
                "root",
                json.dumps(
                    {
                        "class_name": "Functional",
                        "keras_version": "2.11.0",
                        "full_save_spec": {"class_name": "__tuple__", "items": [[], {}]},
                        "model_config": sequential(dense(kernel_size={"class_name": "__tuple__", "items": [3, 3]})),
                    }
                ),
            ),
        )
    ),
}


def write_corpus(folder: Path) -> None:
    """Each file in a folder of its own, which is its work folder."""
    for name, content in {**{name: made for name, (made, _) in REFUSED.items()}, **READ}.items():
        path = folder / name / f"model{Path(name).suffix}"
        path.parent.mkdir(parents=True)
        if callable(content):
            content(path)
        else:
            path.write_bytes(content)
