"""Frozen layers: said in any form, counted as frozen by compile, and frozen in the exported script."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.base.errors import BadRequest
from core.graphs.compile import Compiler
from core.graphs.keras_json import import_model
from core.graphs.schema import check_graph
from core.graphs.script import write_script
from core.keras_worker.environment import child_environment

IMPORTED = {"keras": {"trainable": False}}
# Layers that hold their weights in ways of their own, by label, with the parameters they need.
LAYERS: dict[str, tuple[str, dict[str, Any]]] = {
    "look": ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3}),
    "batch": ("BatchNormalization", {}),
    "steps": ("TimeDistributed", {"layer": "Dense(2)"}),
    "both": ("Bidirectional", {"layer": "LSTM(2, return_sequences=True)"}),
    "apart": ("SeparableConv1D", {"filters": 2, "kernel_size": 1}),
    "norm": ("SpectralNormalization", {"layer": "Dense(2)"}),
}
# Prints for each script whose weights the model of `build_model_py` would train.
_COUNT = """
import runpy, sys
from core.keras_worker import light_backend
light_backend.install()
for path in sys.argv[1:]:
    model = runpy.run_path(path, run_name="script")["build_model_py"]()
    print([weight.path.split("/")[-2] for weight in model.trainable_weights])
"""


def checked(params: dict[str, Any], notes: dict[str, Any] | None = None, kind: str = "Dense") -> dict[str, Any]:
    nodes = [
        {"id": "x", "type": "Input", "params": {"shape": "(4,)"}},
        {"id": "d", "type": kind, "params": {"units": 3, **params}, "notes": notes or {}},
    ]
    return dict(check_graph(nodes, [{"source": "x", "target": "d"}])["nodes"][1])


def sequential_notes() -> dict[str, Any]:
    return {"graph": {"nodes": [{"id": "i", "type": "Dense", "params": {"units": 2}}], "edges": []}}


@pytest.mark.parametrize("said", [False, "false", "False", "FALSE", "'false'", 0, "0", "no", "off"])
@pytest.mark.parametrize("kind", ["Dense", "Sequential"])
def test_a_node_is_frozen_in_every_form_of_false(said: Any, kind: str) -> None:
    notes = sequential_notes() if kind == "Sequential" else {}
    assert checked({"trainable": said}, notes, kind)["extras"] == {"trainable": False}


@pytest.mark.parametrize("said", [True, "True", "1", None, "", "None", "undefined"])
@pytest.mark.parametrize("kind", ["Dense", "Sequential"])
def test_a_node_that_is_not_frozen_says_nothing(said: Any, kind: str) -> None:
    notes = sequential_notes() if kind == "Sequential" else {}
    assert "extras" not in checked({"trainable": said}, notes, kind)


@pytest.mark.parametrize("kind", ["Dense", "Sequential"])
def test_what_a_person_says_goes_before_what_the_import_noted(kind: str) -> None:
    notes = {**IMPORTED, **(sequential_notes() if kind == "Sequential" else {})}
    assert checked({}, notes, kind)["extras"] == {"trainable": False}
    assert checked({"trainable": ""}, notes, kind)["extras"] == {"trainable": False}
    assert "extras" not in checked({"trainable": "true"}, notes, kind)


@pytest.mark.parametrize("kind", ["Dense", "Sequential"])
def test_a_word_that_is_neither_is_told_under_its_parameter(kind: str) -> None:
    with pytest.raises(BadRequest) as caught:
        checked({"trainable": "perhaps"}, sequential_notes() if kind == "Sequential" else {}, kind)
    assert caught.value.body == {"nodes": {"d": {"params": {"trainable": ["Expected true or false, got 'perhaps'."]}}}}


def drawing(kind: str, params: dict[str, Any], *, frozen: bool) -> tuple[list[Any], list[Any]]:
    """The layer on an input, then a Dense."""
    params = {**params, **({"trainable": "False"} if frozen else {})}
    nodes = [
        {"id": "x", "type": "Input", "params": {"shape": "(4, 4)"}},
        {"id": "l", "type": kind, "label": "held", "params": params},
        {"id": "d", "type": "Dense", "label": "free", "params": {"units": 1}},
    ]
    return nodes, [{"source": "x", "target": "l"}, {"source": "l", "target": "d"}]


def counts(summary: str) -> tuple[int, int, int]:
    found = [re.search(rf" {title} params: ([\d,]+)", summary) for title in ("Total", "Trainable", "Non-trainable")]
    total, trainable, fixed = (int(match[1].replace(",", "")) for match in found if match is not None)
    return total, trainable, fixed


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("name", LAYERS)
async def test_compile_counts_all_parameters_of_a_frozen_layer_as_not_trainable(name: str, compiler: Compiler) -> None:
    free = await compiler.compile(*drawing(*LAYERS[name], frozen=False))
    frozen = await compiler.compile(*drawing(*LAYERS[name], frozen=True))
    total, before, _ = counts(free["summary"])
    assert counts(frozen["summary"])[0] == total == frozen["parameter_count"]
    [free_row] = [line for line in frozen["summary"].splitlines() if "free (Dense)" in line]
    head = int(re.split("[│┃]", free_row)[3].split()[0].replace(",", ""))
    assert counts(frozen["summary"]) == (total, head, total - head) and before > head


@pytest.mark.asyncio(loop_scope="session")
async def test_the_exported_script_freezes_what_the_drawing_freezes(compiler: Compiler, tmp_path: Path) -> None:
    inner = {
        "nodes": [
            {"id": "i", "type": "Input", "params": {"shape": "(4, 4)"}},
            {"id": "a", "type": "Dense", "label": "inside", "params": {"units": 2, "trainable": False}},
            {"id": "b", "type": "Dense", "label": "open", "params": {"units": 2}},
        ],
        "edges": [{"source": "i", "target": "a"}, {"source": "a", "target": "b"}],
    }
    drawings = {name: drawing(*layer, frozen=True) for name, layer in LAYERS.items()}
    for kind in ("Sequential", "Functional"):
        nodes, edges = drawing(kind, {}, frozen=False)
        nodes[1]["notes"] = {"graph": inner}
        drawings[kind] = nodes, edges
    for name, (nodes, edges) in drawings.items():
        graph, facts = await compiler.facts(nodes, edges, "net")
        (tmp_path / f"{name}.py").write_text(write_script(graph, name, facts), "utf-8")
        again = import_model(json.loads(facts["model_json"]))
        frozen = [node["label"] for node in again["nodes"] if node["notes"].get("keras", {}).get("trainable") is False]
        assert frozen == (["held"] if name in LAYERS else [])
    paths = [str(tmp_path / f"{name}.py") for name in drawings]
    command = [sys.executable, "-c", _COUNT, *paths]
    run = subprocess.run(command, env=child_environment("numpy"), capture_output=True, text=True)
    alone = [str(["free", "free"])] * len(LAYERS)
    assert run.stdout.splitlines() == [*alone, *[str(["open", "open", "free", "free"])] * 2], run.stderr[-2000:]
