"""The command `predict`: rows of a request in, outputs of a stored model out."""

import base64
import io
import json
import math
import time
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from core.keras_worker.commands import Call
from core.keras_worker.csv_format import SAMPLE_BYTES, sniff_sample
from core.keras_worker.errors import Refused
from core.keras_worker.outputs import class_names, class_numbers, probabilities
from core.keras_worker.predictors import CHUNK_ROWS, Predictor, predictor
from core.keras_worker.preparation import prepare_rows
from core.keras_worker.progress import without_nan

_BATCH_DOOR = "send larger files through batch-predictions"
# An answer of more numbers takes seconds to write and to read, and other predictions wait meanwhile.
_MOST_OUTPUTS = 1_000_000


class _Unreadable(Exception):
    """The body is no JSON object."""


def predict(call: Call) -> dict[str, Any]:
    """Arguments: `model` (a `.keras` file written by `finish`), `memory_bytes` (of the models held), `content` (the
    body of the request in base64), `table` (whether it is a CSV instead of JSON), `rows` (the most there may be) and
    `seconds` (the longest it may take). The request is read here, so that the host never does.

    Returns `rows`, how many there were, and `answer`, the text of a JSON object: `predictions`, one list a row, and for
    a classifier `labels`, the likeliest class of each row, and `probabilities`, an object from class to probability for
    each row (null where the outputs are none). Or `unreadable`, true if the body is no JSON object. Raises Refused for
    rows that the preparation cannot read, or that are too many.

    The preparation is the one inside the model file: the two cannot come apart.
    """
    arguments = call.arguments
    deadline = time.monotonic() + arguments["seconds"]
    model = predictor(Path(arguments["model"]), arguments["memory_bytes"])
    content = base64.b64decode(arguments["content"])
    try:
        x = _table(model, content) if arguments["table"] else _rows(model, content, arguments["rows"])
    except _Unreadable:
        return {"unreadable": True}
    _refuse_too_many(len(x), min(arguments["rows"], _MOST_OUTPUTS // model.units))
    outputs = np.concatenate(list(_chunks(model, x, deadline)))
    return {"answer": json.dumps(_answer(model.preparation["target"], outputs)), "rows": len(x)}


def _rows(model: Predictor, content: bytes, most: int) -> NDArray[np.float32]:
    try:
        body = json.loads(content.decode("utf-8-sig"), parse_constant=_no_number, object_pairs_hook=_names_once)
    except (ValueError, RecursionError):
        raise _Unreadable from None
    if not isinstance(body, dict):
        raise _Unreadable
    for name, read in (("instances", _instances), ("records", _records)):
        if name in body:
            rows = body[name]
            if not isinstance(rows, list) or not rows:
                raise Refused(f"'{name}' must be a list with at least one row.")
            _refuse_too_many(len(rows), most)
            return prepare_rows(model.preparation, read(rows, model.columns))
    raise Refused('Send {"instances": [[…], …]} or {"records": [{"column": value, …}, …]}.')


def _instances(rows: list[Any], columns: list[str]) -> list[list[Any]]:
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, list):
            raise Refused(f"Row {number} must be a list of {len(columns)} values.")
        if len(row) != len(columns):
            raise Refused(
                f"Row {number} has {len(row)} values; this model takes {len(columns)}: {', '.join(columns[:20])}."
            )
    return rows


def _records(rows: list[Any], columns: list[str]) -> list[list[Any]]:
    chosen = itemgetter(*columns)
    found: list[list[Any]] = []
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise Refused(f"Row {number} must be an object of column names and values.")
        try:
            cells = chosen(row)
        except KeyError:
            missing = [column for column in columns if column not in row]
            raise Refused(f"Row {number} lacks the column {', '.join(missing[:20])}.") from None
        found.append(list(cells) if len(columns) > 1 else [cells])
    return found


def _table(model: Predictor, content: bytes) -> NDArray[np.float32]:
    # polars starts threads, so it must not be loaded before the fork.
    from core.keras_worker.csv_rows import CsvRows, as_it_can_be_read

    form = as_it_can_be_read(content, sniff_sample(content[:SAMPLE_BYTES], model.columns))
    blocks = [x for _, x in CsvRows(model.preparation, io.BytesIO(content), form)]
    if not sum(map(len, blocks)):
        raise Refused("The CSV has a header and no rows.")
    return np.concatenate(blocks)


def _refuse_too_many(rows: int, most: int) -> None:
    if rows > most:
        raise Refused(f"{rows:,} rows are too many for one request, which takes {most:,}: {_BATCH_DOOR}.")


def _chunks(model: Predictor, x: NDArray[np.float32], deadline: float) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(x), CHUNK_ROWS):
        if time.monotonic() > deadline:
            raise Refused(f"Predicting {len(x):,} rows takes this network too long for one request: {_BATCH_DOOR}.")
        outputs = model.outputs(x[start : start + CHUNK_ROWS])
        if outputs.shape[1] * len(x) > _MOST_OUTPUTS:
            raise Refused(
                f"{len(x):,} rows of {outputs.shape[1]:,} outputs are too many for one request: {_BATCH_DOOR}."
            )
        yield outputs


def _answer(target: dict[str, Any], outputs: NDArray[np.float32]) -> dict[str, Any]:
    predictions = outputs.astype(float).tolist()
    answer: dict[str, Any] = {"predictions": predictions if np.isfinite(outputs).all() else without_nan(predictions)}
    numbers = class_numbers(target, outputs)
    if numbers is not None:
        answer["labels"] = [target["classes"][number] if number >= 0 else None for number in numbers.tolist()]
    chances = probabilities(target, outputs)
    if chances is not None:
        names = class_names(target)
        rows: list[list[float]] = chances.astype(float).tolist()
        answer["probabilities"] = [
            dict(zip(names, row, strict=True)) if math.isfinite(row[0]) else None for row in rows
        ]
    return answer


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _names_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a name comes twice")
    return value
