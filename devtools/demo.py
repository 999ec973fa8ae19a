"""The demo: a real table trained on the real path, told step by step.

Graph, presigned upload, PUT to Blob Storage, blob trigger, training with live progress, evaluation,
artifact, prediction. The rows it predicts at the end are kept back from the upload: the model has not
seen them.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from devtools import Failure
from devtools.client import Answer, Api, path_of, send
from devtools.processes import run_tied
from devtools.progress_bar import ProgressBar

TABLE = Path("tests/data/breast_cancer.csv")
LABEL = "diagnosis"
KEPT_BACK = 8
JOB_SECONDS = 600.0
ENDED = ("succeeded", "failed", "cancelled")

# Loads the downloaded file as anybody would, away from the app, and predicts the same rows.
PREDICT_FROM_FILE = """
import json, sys
import numpy, keras
model = keras.saving.load_model(sys.argv[1])
with open(sys.argv[2]) as instances, open(sys.argv[3], "w") as answer:
    rows = numpy.array(json.load(instances), dtype="float32")
    json.dump(model.predict_on_batch(rows).tolist(), answer)
"""


def run_demo(root: Path, api: Api, python: Path, folder: Path) -> None:
    """The whole story against the backend behind `api`; `folder` takes the downloaded model."""
    header, rows = _read_table(root / TABLE)
    features = header[:-1]
    training, unseen = rows[:-KEPT_BACK], rows[-KEPT_BACK:]
    _say(f"Data: {TABLE}, {len(rows)} rows, {len(features)} features; {KEPT_BACK} rows are kept back")

    graph = _step(api, "POST", "/api/network/graphs/", _graph(len(features)), expect=201)
    job_id = _upload(api, graph["id"], features, _as_csv(header, training))
    job = _watch(api, job_id)
    _say(f"Evaluation on the test split: {_numbers(job['result']['evaluation'])}")

    model = folder / "model.keras"
    _download(api, job_id, model)
    instances = [[float(cell) for cell in row[:-1]] for row in unseen]
    body = {"instances": instances}
    predictions = _step(api, "POST", f"/api/network/training-jobs/{job_id}/predict/", body)["predictions"]
    labels = sorted({row[-1] for row in rows})
    _show_predictions(predictions, labels, [row[-1] for row in unseen])
    _compare(predictions, _predict_from_file(python, model, instances))


def _read_table(file: Path) -> tuple[list[str], list[list[str]]]:
    with file.open(newline="", encoding="utf-8") as lines:
        header, *rows = csv.reader(lines)
    return header, rows


def _as_csv(header: list[str], rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue().encode()


def _graph(features: int) -> dict[str, Any]:
    layers: list[tuple[str, dict[str, Any]]] = [
        ("Input", {"shape": f"({features},)"}),
        # The columns differ in scale by a factor of 100,000.
        ("BatchNormalization", {"momentum": 0.9}),
        ("Dense", {"units": 16, "activation": "relu"}),
        ("Dense", {"units": 2, "activation": "softmax"}),
    ]
    nodes = [
        {"id": f"n{i}", "type": kind, "label": kind, "params": params, "position": {"x": 100, "y": 120 * i}}
        for i, (kind, params) in enumerate(layers)
    ]
    edges = [{"id": f"e{i}", "source": f"n{i}", "target": f"n{i + 1}"} for i in range(len(layers) - 1)]
    return {"name": "Demo: tumours", "nodes": nodes, "edges": edges}


def _upload(api: Api, graph_id: str, features: list[str], table: bytes) -> str:
    """Ask for a SAS URL and PUT the table there. Nobody calls start: the blob trigger does."""
    parameters = {
        "x_columns": features,
        "y_column": LABEL,
        "optimizer": "adam",
        "learning_rate": 0.003,
        "loss": "sparse_categorical_crossentropy",
        "metrics": ["accuracy"],
        "epochs": 60,
        "batch_size": 16,
        "validation_split": 0.15,
        "test_split": 0.2,
    }
    ticket = _step(api, "POST", f"/api/network/graphs/{graph_id}/presign-upload/", parameters, expect=201)
    headers = {**ticket["headers"], "Content-Type": "text/csv"}
    answer = send("PUT", ticket["upload_url"], table, headers)
    note = f"{len(table):,} bytes to Blob Storage"
    _report("PUT", path_of(ticket["upload_url"]), answer, 201, note)
    return ticket["job_id"]


def _watch(api: Api, job_id: str) -> dict[str, Any]:
    """Poll the job until it has ended, showing where it is."""
    path = f"/api/network/training-jobs/{job_id}/"
    _report("GET", path, api.call("GET", path), 200, "the blob trigger starts the run; polled until it ends")
    deadline = time.monotonic() + JOB_SECONDS
    with ProgressBar(sys.stdout) as bar:
        while True:
            answer = api.call("GET", path)
            if answer.status != 200:
                raise Failure(f"The job cannot be read any more: {_complaint(answer)}")
            job = answer.json()
            bar.show(job["progress"], _where(job))
            if job["status"] in ENDED:
                break
            if time.monotonic() > deadline:
                raise Failure(f"The job is still {job['status']} after {JOB_SECONDS:.0f} s; see host.log.")
            time.sleep(0.25)
    if job["status"] != "succeeded":
        raise Failure(f"The job {job['status']}: {job['error'] or 'no reason was given'}")
    return job


def _where(job: dict[str, Any]) -> str:
    live = job["result"].get("live")
    if job["status"] == "running" and live:
        return f"epoch {live['epoch']}  {_numbers({k: v for k, v in live.items() if k != 'epoch'})}"
    return job["status"]


def _download(api: Api, job_id: str, target: Path) -> None:
    url = _step(api, "GET", f"/api/network/training-jobs/{job_id}/artifact/?type=final")["url"]
    answer = send("GET", url)
    target.write_bytes(answer.body)
    _report("GET", path_of(url), answer, 200, f"{len(answer.body):,} bytes, {target.name}")


def _show_predictions(predictions: list[list[float]], labels: list[str], truths: list[str]) -> None:
    correct = 0
    for probabilities, truth in zip(predictions, truths, strict=True):
        best = max(range(len(labels)), key=probabilities.__getitem__)
        correct += labels[best] == truth
        verdict = "right" if labels[best] == truth else "WRONG"
        _say(f"  predicted {labels[best]:<10} {probabilities[best]:6.1%}   truth {truth:<10} {verdict}")
    _say(f"Prediction of the rows kept back: {correct} of {len(truths)} right")


def _predict_from_file(python: Path, model: Path, rows: list[list[float]]) -> list[list[float]]:
    instances, answer = model.with_name("rows.json"), model.with_name("predictions.json")
    instances.write_text(json.dumps(rows))
    command = [str(python), "-c", PREDICT_FROM_FILE, str(model), str(instances), str(answer)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    log = model.with_name("keras.log")
    with log.open("wb") as output:
        code = run_tied(command, cwd=model.parent, env=environment, output=output)
    if code != 0:
        raise Failure(f"Keras cannot use the downloaded model: {log.read_text().splitlines()[-1:]}")
    return json.loads(answer.read_text())


def _compare(served: list[list[float]], own: list[list[float]]) -> None:
    pairs = [(a, b) for x, y in zip(served, own, strict=True) for a, b in zip(x, y, strict=True)]
    largest = max(abs(a - b) for a, b in pairs)
    if largest > 1e-4:
        raise Failure(f"The downloaded model predicts otherwise than the API, by up to {largest:.2g}.")
    _say(f"The downloaded model, loaded by plain Keras, predicts the same (difference at most {largest:.1g})")


def _step(api: Api, method: str, path: str, body: Any = None, *, expect: int = 200) -> Any:
    answer = api.call(method, path, body)
    found = answer.json() if answer.status == expect else {}
    _report(method, path, answer, expect, str(found.get("id") or found.get("job_id") or ""))
    return found


def _report(method: str, path: str, answer: Answer, expect: int, note: str) -> None:
    if answer.status != expect:
        raise Failure(f"{method} {path} was refused: {_complaint(answer)}")
    _say(f"{answer.status} {method:<4} {path}  {note}".rstrip())


def _complaint(answer: Answer) -> str:
    text = answer.body.decode("utf-8", "replace")
    return f"status {answer.status}, {text[:500] or 'no text'}"


def _numbers(values: dict[str, Any]) -> str:
    numbers = {name: value for name, value in values.items() if isinstance(value, (int, float))}
    return "  ".join(f"{name} {value:.4f}" for name, value in numbers.items())


def _say(text: str) -> None:
    print(text, flush=True)
