"""Every layer of the catalogue in every format: what a format cannot say is what the documentation says it cannot."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.graphs.schema import check_graph
from core.keras_worker.build import build_model
from core.keras_worker.environment import APP_ROOT
from core.keras_worker.errors import Refused
from core.keras_worker.pool import ChildPool
from tests.unit.compile.recipes import ARGUMENTS, RECIPES
from tests.unit.keras_worker.test_exports import Stored

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.soak, pytest.mark.timeout(1800)]

# A table has numbers in one row; these cannot be the network's layer in the middle of it.
UNFIT = {
    "Input": "is no layer",
    "InputLayer": "is no layer",
    "HashedCrossing": "takes whole numbers or texts, where a table's row has float32",
    "RandomCrop": "gives another shape when it does not train",
    "StringLookup": "takes texts",
    "TextVectorization": "takes texts",
}
WHOLE = ("CategoryEncoding", "Embedding", "ReversibleEmbedding", "Hashing", "IntegerLookup")


def network(name: str) -> Any:
    """Numbers in a row, the layer on shapes that it takes, one number out."""
    params, shapes, *_ = RECIPES[name]
    params = {key: value for key, value in params.items() if key != "return_state"}
    sizes = [math.prod(shape) for shape in shapes]
    nodes: list[dict[str, Any]] = [{"id": "row", "type": "Input", "params": {"shape": [sizes[0]]}}]
    edges: list[dict[str, Any]] = []

    def add(kind: str, key: str, source: str, **values: Any) -> str:
        nodes.append({"id": key, "type": kind, "params": values})
        edges.append({"id": f"{source}-{key}", "source": source, "target": key, "meta": {}})
        return key

    ends: list[str] = []
    for at, (shape, size) in enumerate(zip(shapes, sizes, strict=True)):
        # Layers that count or look up take the row as it is, the others parts that were learnt.
        source = "row" if at == 0 or name in WHOLE else add("Dense", f"dense{at}", "row", units=size)
        ends.append(add("Reshape", f"shape{at}", source, target_shape=shape))
    nodes.append({"id": "layer", "type": name, "params": params})
    arguments = ARGUMENTS.get(name, [{}] * len(ends))
    edges += [
        {"id": f"{end}-layer", "source": end, "target": "layer", "meta": meta}
        for end, meta in zip(ends, arguments, strict=True)
    ]
    add("Flatten", "flat", "layer")
    add("Dense", "out", "flat", units=1)
    return build_model(check_graph(nodes, edges))


def documented() -> dict[str, set[str]]:
    """What docs/serving.md says that a format cannot."""
    text = (APP_ROOT / "docs" / "serving.md").read_text("utf-8").split("### What a format cannot say")[1].split("##")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([\w, ]+) \|$", text, re.MULTILINE)
    return {kind: set(layers.split(", ")) for kind, layers in rows}


async def test_each_format_takes_all_layers_but_those_that_the_documentation_names(
    pool: ChildPool, tmp_path: Path
) -> None:
    refused: dict[str, set[str]] = {"tflite": set(), "onnx": set(), "saved_model": set()}
    for name in sorted(RECIPES.keys() - UNFIT.keys()):
        folder = tmp_path / name
        folder.mkdir()
        stored = Stored(network(name), folder)
        if name in WHOLE:
            np.save(folder / "sample.npy", np.minimum(np.abs(stored.sample).round(), 3))
        async with pool.child("tensorflow") as child:
            for kind in refused:
                try:
                    await stored.export(child, kind)
                except Refused as refusal:
                    assert "has no" in str(refusal), f"{name}: {refusal}"
                    refused[kind].add(name)
    assert refused.pop("saved_model") == set()
    assert refused == documented()
