"""TensorFlow's SavedModel as a zip: for TensorFlow Serving, and whatever else runs TensorFlow without Keras."""

import shutil
import zipfile
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from core.keras_worker.exportable import OUTPUT, Exportable, Written, as_rows

# What the zip unpacks to.
_FOLDER = "saved_model"


def write_saved_model(source: Exportable, path: Path) -> Written:
    made, unpacked = path.with_name("made"), path.with_name("unpacked")
    for folder in (made, unpacked):
        shutil.rmtree(folder, ignore_errors=True)
    archive: Any = keras.export.ExportArchive()
    archive.track(source.model)
    archive.add_endpoint("serve", lambda features: {OUTPUT: source.predict(features)}, [source.signature])
    archive.write_out(str(made), verbose=False)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as written:
        for file in sorted(item for item in made.rglob("*") if item.is_file()):
            written.write(file, Path(_FOLDER) / file.relative_to(made))
    with zipfile.ZipFile(path) as written:
        written.extractall(unpacked)
    loaded: Any = tf.saved_model.load(str(unpacked / _FOLDER))
    return Written(as_rows(loaded.serve(source.sample)[OUTPUT], len(source.sample)))
