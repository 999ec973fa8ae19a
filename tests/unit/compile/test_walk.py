"""Every layer of the catalogue, on the light backend and on TensorFlow: the two must tell the same."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from core.catalog.catalog import catalog
from core.graphs.schema import check_graph
from core.keras_worker.environment import child_environment
from tests.unit.compile.recipes import NO_RECIPE, RECIPES, drawing

# Seeds are drawn anew in each process when they are not given; inside a Pipeline the shapes with which layers were
# built hold the backend's placeholder for an open batch.
_NOT_COMPARED = {"seed", "build_config"}


@pytest.fixture(scope="module")
def walks() -> dict[str, dict[str, Any]]:
    """What the walk prints on each backend; both run at the same time."""
    running = {
        backend: subprocess.Popen(
            [sys.executable, "-m", "tests.unit.compile.walk", backend],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=child_environment(backend),
        )
        for backend in ("numpy", "tensorflow")
    }
    return {backend: json.loads(process.communicate(timeout=150)[0]) for backend, process in running.items()}


def test_every_layer_has_a_recipe_or_a_reason_not_to() -> None:
    names = {entry["name"] for entry in catalog().entries("layers")}
    assert set(RECIPES) | set(NO_RECIPE) == names
    assert not set(RECIPES) & set(NO_RECIPE)


def test_what_is_refused_has_no_recipe() -> None:
    refused = {entry["name"] for entry in catalog().entries("layers") if entry["refused"]}
    assert refused == {name for name, reason in NO_RECIPE.items() if reason.startswith("refused")}


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_layer_looks_the_same_without_tensorflow(name: str, walks: dict[str, dict[str, Any]]) -> None:
    light, real = (walks[backend]["answers"][name] for backend in ("numpy", "tensorflow"))
    assert "summary" in light, light
    assert _settled(light) == _settled(real)


def test_the_summary_is_keras_s_own_cell_by_cell(walks: dict[str, dict[str, Any]]) -> None:
    for walk in walks.values():
        assert [name for name, answer in walk["answers"].items() if not answer.get("cells_as_keras")] == []


def test_the_light_backend_never_loads_tensorflow(walks: dict[str, dict[str, Any]]) -> None:
    assert not walks["numpy"]["tensorflow_loaded"]
    assert walks["tensorflow"]["tensorflow_loaded"]


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_recipe_passes_the_checks_of_saving(name: str) -> None:
    nodes, edges = drawing(name)
    assert check_graph(nodes, edges, complete=False)["nodes"]


def _settled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _settled(item) for key, item in value.items() if key not in _NOT_COMPARED}
    return [_settled(item) for item in value] if isinstance(value, list) else value
