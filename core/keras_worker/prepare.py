"""The command `prepare`: reads the CSV once, checks it against network and parameters, and leaves it as arrays."""

import json
import os
from pathlib import Path
from typing import Any

import keras

from core.keras_worker.commands import Call
from core.keras_worker.errors import Refused
from core.keras_worker.initial_weights import initial_weights, take_weights
from core.keras_worker.kill_points import passed
from core.keras_worker.limits import network_problem
from core.keras_worker.model import make_model
from core.keras_worker.objective import target_form
from core.keras_worker.runtime import fix_threads
from core.keras_worker.targets import encode_target, input_problems, monitor_problems, resolve_monitors, target_problems

_SEED = 42


def prepare(call: Call) -> dict[str, Any]:
    """Arguments: `csv`, `work`, `graph`, `params`, `threads`, `limits` (`rows`, `parameters`). Writes `work/data/` (see
    `dataset`) and returns `rows`, `data_sha256` (of the CSV's bytes), `dataset`, the profile for the person, and, for a
    training that begins with weights of an import, `initial_weights` (see `take_weights`). Done again, it finds its
    own work.

    Raises Refused with sentences about everything that is wrong with the file, or about how file, loss and network
    do not go together. Events: `stage` (`text`: what is being done).
    """
    passed("prepare-begun")
    # polars starts threads, so it must not be loaded before the fork.
    from core.keras_worker.table import read_table

    arguments, params = call.arguments, call.arguments["params"]
    folder = Path(arguments["work"]) / "data"
    csv = Path(arguments["csv"])
    request = {"graph": arguments["graph"], "params": params, "csv_bytes": csv.stat().st_size}
    done = _earlier(folder, request)
    if done is not None:
        return done
    fix_threads(arguments["threads"])
    model = make_model(arguments["graph"], params, _SEED)
    limits = arguments["limits"]
    if problem := network_problem(model.count_params(), limits["parameters"]):
        raise Refused(problem)
    problems = input_problems(model, len(params["x_columns"])) + monitor_problems(resolve_monitors(params))
    if model.weights and not model.trainable_variables:
        problems.append("Nothing in this network can be trained: all its weights are frozen. Let one layer be trained.")
    if problems:
        raise Refused(" ".join(problems))
    initial = initial_weights(Path(arguments["work"]), params)
    taken = {"initial_weights": _taken(model, arguments["graph"], initial)} if initial is not None else {}
    folder.mkdir(parents=True, exist_ok=True)
    table = read_table(csv, folder, params, call, limits["rows"])
    target = encode_target(table.y, table.y_categories, target_form(params))
    problems = target_problems(target, params["y_column"], params, tuple(model.outputs[0].shape[1:]))
    if problems:
        raise Refused(" ".join(problems))
    _write_durably(folder / "y.bin", target.numbers.astype("<i4" if target.classes is not None else "<f4").tobytes())
    passed("prepare-arrays-written")
    result = {"rows": table.rows, "data_sha256": table.sha256, "dataset": table.profile(params, target), **taken}
    preparation = {
        "columns": table.columns,
        "target": {"name": params["y_column"], "form": target.form, "classes": target.classes},
        "decimal_mark": table.format.decimal,
    }
    _write_manifest(
        folder,
        {
            "request": request,
            "result": result,
            "rows": table.rows,
            "features": len(table.columns),
            "data_sha256": table.sha256,
            "preparation": preparation,
        },
    )
    passed("prepare-manifest-written")
    return result


def _taken(model: keras.Model, graph: dict[str, Any], file: Path) -> dict[str, Any]:
    """What the network takes of the initial weights. Raises Refused if that is nothing: a night's training from
    scratch is not what was asked for."""
    report = take_weights(model, graph, file)
    if not report["taken"]:
        reasons = "; ".join(f"'{entry['layer']}': {entry['reason']}" for entry in report["not_taken"][:3])
        raise Refused(
            f"None of the import's weights fit this network ({reasons}). Train the graph that was made of the import,"
            " or train without initial_weights."
        )
    return report


def _earlier(folder: Path, request: dict[str, Any]) -> dict[str, Any] | None:
    """The result of an earlier call for the same; it is whole if the manifest is there, which is written last."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return manifest["result"] if manifest["request"] == request else None


def _write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    part = folder / "manifest.part"
    _write_durably(part, json.dumps(manifest, allow_nan=False).encode())
    os.replace(part, folder / "manifest.json")


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
