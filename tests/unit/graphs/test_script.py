"""The exported script: it runs, it is formatted, and both of its functions build the drawing's model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.graphs.compile import Compiler
from core.graphs.keras_json import import_model
from core.graphs.preset import shipped
from core.graphs.python_code import quoted
from core.graphs.script import file_name, write_script
from core.keras_worker.environment import child_environment
from tests.unit.graphs.test_keras_json import MODELS, keras_models

__all__ = ["keras_models"]

PRESETS = sorted(preset.slug for preset in shipped().values())
# Loads each script and compares the two models it builds, but for what follows from the rest.
_COMPARE = """
import json, runpy, sys
from core.keras_worker import light_backend
light_backend.install()
from tests.unit.graphs.test_keras_json import _essence
for path in sys.argv[1:]:
    space = runpy.run_path(path, run_name="script")
    one, other = (_essence(json.loads(space[name]().to_json())) for name in ("build_model_json", "build_model_py"))
    for layer in [*one[0].values(), *other[0].values()]:
        for key in ("layer", "backward_layer"):  # their names are Keras's own count in the script
            layer["config"].get(key, {}).get("config", {}).pop("name", None)
    anonymous = any("ops" in str(layer.get("module")) for layer in one[0].values())
    print(path, "same" if one == other or anonymous and len(one[0]) == len(other[0]) else ("differs", one, other))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.mark.asyncio(loop_scope="session")
async def test_scripts_build_the_drawn_model_twice_and_are_formatted(
    compiler: Compiler, keras_models: dict[str, Any], tmp_path: Path
) -> None:
    drawings = {preset.slug: preset.graph for preset in shipped().values()}
    drawings |= {name: import_model(keras_models[name]) for name in MODELS}
    for name, drawing in drawings.items():
        checked, facts = await compiler.facts(drawing["nodes"], drawing["edges"], name)
        (tmp_path / f"{name}.py").write_text(write_script(checked, name, facts), encoding="utf-8")
    paths = sorted(map(str, tmp_path.glob("*.py")))
    ruff = [sys.executable, "-m", "ruff"]
    formatted = subprocess.run([*ruff, "format", "--isolated", "--check", *paths], capture_output=True, text=True)
    assert formatted.returncode == 0, formatted.stdout
    linted = subprocess.run(
        [*ruff, "check", "--isolated", "--select", "E4,E7,E9,F,I", *paths], capture_output=True, text=True
    )
    assert linted.returncode == 0, linted.stdout
    compared = subprocess.run(
        [sys.executable, "-c", _COMPARE, *paths], env=child_environment("numpy"), capture_output=True, text=True
    )
    assert compared.stdout.splitlines() == [f"{path} same" for path in paths], compared.stderr[-2000:]


@pytest.mark.asyncio(loop_scope="session")
async def test_a_script_runs_as_it_is_and_trains_with_a_file(compiler: Compiler, tmp_path: Path) -> None:
    preset = next(preset for preset in shipped().values() if preset.slug == "mlp-binary")
    checked, facts = await compiler.facts(preset.graph["nodes"], preset.graph["edges"], "my_net")
    script = tmp_path / "script.py"
    text = write_script(checked, 'A "net"\nwith é', facts).replace("epochs=100", "epochs=1")
    script.write_text(text, encoding="utf-8")
    environment = child_environment("tensorflow")
    shown = subprocess.run([sys.executable, str(script)], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert "Total params" in shown.stdout
    rows = "\n".join(",".join(["0.5"] * 10 + [str(number % 2)]) for number in range(40))
    (tmp_path / "data.csv").write_text(",".join("abcdefghijy") + "\n" + rows)
    trained = subprocess.run(
        [sys.executable, str(script), "data.csv"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert trained.returncode == 0, trained.stderr
    assert (tmp_path / "my_net.keras").exists()


@pytest.mark.asyncio(loop_scope="session")
async def test_model_json_is_one_line_that_decodes_twice(compiler: Compiler) -> None:
    preset = next(iter(shipped().values()))
    checked, facts = await compiler.facts(preset.graph["nodes"], preset.graph["edges"], "net")
    script = write_script(checked, "net", facts)
    [line] = [line for line in script.splitlines() if line.startswith("MODEL_JSON = ")]
    model = json.loads(json.loads(line.removeprefix("MODEL_JSON = ")))
    assert model["config"]["name"] == "net"
    assert 'MODEL_NAME = "net"' in script


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("My first Net!", "my-first-net.py"),
        ("", "model.py"),
        ("../../etc", "etc.py"),
        ("日本", "model.py"),
        ('a"b', "a-b.py"),
    ],
)
def test_file_names_are_slugs(name: str, file: str) -> None:
    assert file_name(name) == file


@pytest.mark.parametrize("text", ["plain", 'with "double"', "with 'single'", "both ' and \"", "tab\t\\ back", "é🙂"])
def test_quoted_text_is_a_python_literal(text: str) -> None:
    import ast

    assert ast.literal_eval(quoted(text)) == text
