"""Builds every layer that has a recipe, on the backend named, and prints what each looks like.

`python -m tests.unit.compile.walk numpy|tensorflow`: one JSON object, `{layer: answer or problems}`.
"""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Any


def _cells(summary: str) -> list[list[str]]:
    """The table's cells, and the lines around it."""
    return [
        [cell.strip() for cell in re.split("[│┃]", line)]
        for line in summary.splitlines()
        if "━" not in line and "─" not in line
    ]


def _keras_summary(model: Any) -> str:
    """Keras's own summary, in a terminal so wide that nothing wraps."""
    os.environ["COLUMNS"] = "2000"
    lines: list[str] = []
    model.summary(line_length=2000, print_fn=lines.append)
    return "\n".join(lines).rstrip()


def main(backend: str) -> None:
    if backend == "numpy":
        from core.keras_worker import light_backend

        light_backend.install()
    from core.base.errors import BadRequest
    from core.graphs.schema import check_graph
    from core.keras_worker.build import build_model
    from core.keras_worker.errors import Refused
    from core.keras_worker.summary import describe, summary_text
    from tests.unit.compile.recipes import RECIPES, drawing

    answers: dict[str, Any] = {}
    for name in sorted(RECIPES):
        try:
            model = build_model(check_graph(*drawing(name)))
            answers[name] = {**describe(model), "config": json.loads(model.to_json())}
            answers[name]["cells_as_keras"] = _cells(summary_text(model)) == _cells(_keras_summary(model))
        except BadRequest as refused:
            answers[name] = {"problems": refused.body}
        except Refused as refused:
            answers[name] = {"problems": refused.problems}
    loaded = "tensorflow" in sys.modules and hasattr(sys.modules["tensorflow"], "__version__")
    print(json.dumps({"answers": answers, "tensorflow_loaded": loaded}))


if __name__ == "__main__":
    main(sys.argv[1])
