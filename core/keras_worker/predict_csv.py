"""The command `predict_csv`: a part of a large CSV in, the same rows with their predictions out."""

from pathlib import Path
from typing import Any

from core.keras_worker.commands import Call
from core.keras_worker.csv_format import CsvFormat
from core.keras_worker.predictors import predictor


def predict_csv(call: Call) -> dict[str, Any]:
    """Arguments: `model` (a `.keras` file written by `finish`), `memory_bytes` (of the models held), `source` (a file
    with the bytes of the CSV from the beginning of a row on), `format` (a `CsvFormat` as a dict), `first_row` (the
    number of that row, counted as in a spreadsheet), `last` (whether the CSV ends with these bytes) and `output` (the
    file to write).

    Predicts the whole rows in `source`. Returns `consumed`, the bytes that they take; `next_row`, the number of the row
    after them; `rows`, how many of them held anything; and `bytes`, the size of `output`, which then holds them in
    their order, after the header if `first_row` is 1. Where `bytes` is 0, there was no row. Raises Refused for rows
    that cannot be read.
    """
    # polars starts threads, so it must not be loaded before the fork.
    from core.keras_worker.csv_predictions import CsvPart

    arguments = call.arguments
    content = Path(arguments["source"]).read_bytes()
    part = CsvPart(content, CsvFormat(**arguments["format"]), arguments["first_row"], arguments["last"])
    if not part.consumed:
        return {"consumed": 0, "next_row": part.first_row, "rows": 0, "bytes": 0}
    model = predictor(Path(arguments["model"]), arguments["memory_bytes"])
    with Path(arguments["output"]).open("wb") as output:
        rows, next_row = part.predict(model, output)
        size = output.tell()
    return {"consumed": part.consumed, "next_row": next_row, "rows": rows, "bytes": size}
