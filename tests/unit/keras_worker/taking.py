"""Gives networks initial weights on the light backend: `python -m tests.unit.keras_worker.taking FOLDER…`.

In each folder it reads `graph.json` and `weights.bin`, and writes `report.json` and `model.keras`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from core.keras_worker import light_backend

light_backend.install()


def main() -> None:
    from keras.src.backend.numpy.core import Variable

    from core.keras_worker.build import build_model
    from core.keras_worker.initial_weights import take_weights

    cls: Any = Variable
    # The light backend forgets what is assigned; here it is what the test looks at.
    cls._direct_assign = lambda self, value: setattr(self, "_value", value)
    for name in sys.argv[1:]:
        folder = Path(name)
        graph = json.loads((folder / "graph.json").read_text("utf-8"))
        model = build_model(graph)
        report = take_weights(model, graph, folder / "weights.bin")
        (folder / "report.json").write_text(json.dumps(report), "utf-8")
        model.save(folder / "model.keras")


if __name__ == "__main__":
    main()
