"""The command that reads an uploaded model file as data: what it says of its layers, and their weights; never code.

Its child has no Keras in it: there is nothing that could build, load or run what the file describes.
"""

from __future__ import annotations

# h5py and zipfile decode old texts by these, and would import them only then.
import encodings.ascii
import encodings.cp437  # noqa: F401
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.keras_worker.errors import Refused
from core.keras_worker.keep_weights import WEIGHTS_FILE, keep_weights, no_weights
from core.keras_worker.memory_limit import limit_memory
from core.keras_worker.model_archive import ZIP_MAGIC, Archive, Limits, open_archive
from core.keras_worker.model_config import parse_config
from core.keras_worker.model_hdf5 import HDF5_MAGIC, open_hdf5, text_attributes
from core.keras_worker.model_weights import layers_by_name, layers_by_place
from core.keras_worker.saved_model import NO_CONFIG, root_metadata

if TYPE_CHECKING:
    from core.keras_worker.commands import Call

_CONFIG, _METADATA = "config.json", "metadata.json"
_SAVED_MODEL, _KERAS_METADATA = "saved_model.pb", "keras_metadata.pb"
_HDF5_SUFFIXES = (".h5", ".hdf5")
# The second is the name that Keras 2.12 gave it.
_WEIGHTS = ("model.weights.h5", "variables.h5")
_EMPTY_ZIP = b"PK\x05\x06"
_METADATA_BYTES = 64 * 1024
_SAVED_MODEL_WEIGHTS = (
    "The weights of a SavedModel are not read. To begin a training with them, load the model where it was made and save"
    " it by model.save('model.keras')."
)


def read_model(call: Call) -> dict[str, Any]:
    """The command: see `read_model_file`."""
    return read_model_file(call.arguments)


def read_model_file(arguments: dict[str, Any]) -> dict[str, Any]:
    """`{"model": the model's JSON, "keras_version": text}` of `{"path", "limits", "memory_bytes"}`.

    `path` ends in .keras, .h5 or .zip; its folder is the work folder, into which parts may be unpacked. Where the
    limits allow weights they are left there as well, and `weights` and `weights_note` say so (see `keep_weights`).
    Raises Refused with one sentence.
    """
    limit_memory(arguments.get("memory_bytes", 0))
    path, limits = Path(arguments["path"]), Limits(**arguments["limits"])
    if path.suffix in _HDF5_SUFFIXES:
        return _read_hdf5(path, limits)
    _check_zip_magic(path)
    with open_archive(path, limits) as archive:
        return (
            _read_keras(archive, path.parent, limits) if path.suffix == ".keras" else _read_zip(archive, path, limits)
        )


def _read_zip(archive: Archive, path: Path, limits: Limits) -> dict[str, Any]:
    """A zip of one model file or of a SavedModel's folder; also a .keras file under another name."""
    if _CONFIG in archive.members:
        return _read_keras(archive, path.parent, limits)
    saved = [name for name in archive.members if name == _SAVED_MODEL or name.endswith(f"/{_SAVED_MODEL}")]
    models = [name for name in archive.members if name.lower().endswith((".keras", *_HDF5_SUFFIXES))]
    if saved and len(saved) + len(models) == 1:
        archive.refuse_nested()
        return _read_saved_model(archive, saved[0].removesuffix(_SAVED_MODEL), limits)
    if len(saved) + len(models) > 1:
        raise Refused(f"The zip holds {len(saved) + len(models)} models; pack just one.")
    archive.refuse_nested(allowed=models[0] if models else "")
    if not models:
        raise Refused("The zip holds no model; pack a .keras file, an .h5 file or the folder of a SavedModel.")
    return _read_packed(archive, models[0], path.parent, limits)


def _read_packed(archive: Archive, name: str, work: Path, limits: Limits) -> dict[str, Any]:
    if name.lower().endswith(_HDF5_SUFFIXES):
        inner = work / "packed.h5"
        archive.extract(name, inner)
        return _read_hdf5(inner, limits)
    inner = work / "packed.keras"
    archive.extract(name, inner)
    _check_zip_magic(inner)
    with open_archive(inner, limits) as model:
        return _read_keras(model, work, limits)


def _read_keras(archive: Archive, work: Path, limits: Limits) -> dict[str, Any]:
    archive.refuse_nested()
    if _CONFIG not in archive.members:
        raise Refused("There is no config.json in the file; save the whole model by model.save('model.keras').")
    model = parse_config(archive.read(_CONFIG, limits.config_bytes), _CONFIG)
    answer = {"model": model, "keras_version": _keras_version(archive), **no_weights()}
    for name in archive.members:
        if name.lower().endswith(_HDF5_SUFFIXES):
            # All are looked through, so that no import ever keeps weights that point out of their file.
            extracted = work / "weights.h5"
            archive.extract(name, extracted)
            _check_hdf5_magic(extracted)
            with open_hdf5(extracted, limits) as file:
                if name in _WEIGHTS and limits.weights_bytes:
                    found = layers_by_place(file, model)
                    answer |= keep_weights(found, False, work / WEIGHTS_FILE, limits.weights_bytes)
    return answer


def _keras_version(archive: Archive) -> str:
    if _METADATA not in archive.members:
        return ""
    try:
        metadata = json.loads(archive.read(_METADATA, _METADATA_BYTES))
    except (ValueError, RecursionError):
        raise Refused("metadata.json is not valid JSON; save the model and upload it again.") from None
    version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    return _short(version)


def _read_hdf5(path: Path, limits: Limits) -> dict[str, Any]:
    _check_hdf5_magic(path)
    with open_hdf5(path, limits) as file:
        found = text_attributes(file, ("model_config", "keras_version"), limits.config_bytes)
        if "model_config" not in found:
            raise Refused("The file holds weights but no model; save the whole model by model.save('model.keras').")
        model = parse_config(found["model_config"], "model_config")
        answer = {"model": model, "keras_version": _short(found.get("keras_version")), **no_weights()}
        if limits.weights_bytes:
            layers = layers_by_name(file, model, limits.config_bytes)
            answer |= keep_weights(layers, True, path.parent / WEIGHTS_FILE, limits.weights_bytes)
    return answer


def _read_saved_model(archive: Archive, folder: str, limits: Limits) -> dict[str, Any]:
    name = folder + _KERAS_METADATA
    if name not in archive.members:
        raise Refused(NO_CONFIG)
    # The file repeats the config of each layer that the model's own config holds.
    metadata = parse_config(root_metadata(archive.read(name, 8 * limits.config_bytes)), _KERAS_METADATA)
    model = metadata.get("model_config")
    if not isinstance(model, dict):
        model = {key: metadata[key] for key in ("class_name", "config") if key in metadata}
    if not isinstance(model.get("config"), dict | list) or "class_name" not in model:
        raise Refused(NO_CONFIG)
    version = _short(metadata.get("keras_version"))
    return {"model": model, "keras_version": version, **no_weights(_SAVED_MODEL_WEIGHTS)}


def _check_zip_magic(path: Path) -> None:
    begin = _begin(path)
    if begin.startswith(_EMPTY_ZIP):
        raise Refused("The zip is empty.")
    if not begin.startswith(ZIP_MAGIC):
        hint = " It is an HDF5 file: name it .h5." if begin == HDF5_MAGIC else ""
        raise Refused(f"The file's content is no zip, which a .keras or .zip file is.{hint}")


def _check_hdf5_magic(path: Path) -> None:
    begin = _begin(path)
    if begin != HDF5_MAGIC:
        hint = " It is a zip: name it .keras or .zip." if begin.startswith(ZIP_MAGIC) else ""
        raise Refused(f"The file's content is no HDF5, which an .h5 file is.{hint}")


def _begin(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(HDF5_MAGIC))


def _short(version: Any) -> str:
    return version[:60] if isinstance(version, str) else ""
