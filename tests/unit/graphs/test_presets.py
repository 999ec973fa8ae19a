"""The shipped presets: each compiles, and trains on data of its shape."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import pytest

from core.graphs.compile import Compiler
from core.graphs.preset import shipped
from core.keras_worker.environment import child_environment

SLUGS = sorted(preset.slug for preset in shipped().values())


def test_there_are_more_than_ten_with_names_and_descriptions() -> None:
    assert len(SLUGS) >= 10
    assert len(set(SLUGS)) == len(SLUGS)
    assert all(preset.name and preset.description for preset in shipped().values())


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("slug", SLUGS)
async def test_preset_compiles(slug: str, compiler: Compiler) -> None:
    preset = next(preset for preset in shipped().values() if preset.slug == slug)
    answer = await compiler.compile(preset.graph["nodes"], preset.graph["edges"])
    assert answer["parameter_count"] > 0
    places = {(node["position"]["x"], node["position"]["y"]) for node in preset.graph["nodes"]}
    assert len(places) == len(preset.graph["nodes"])


def test_every_preset_trains_on_data_of_its_shape() -> None:
    command = [sys.executable, "-m", "tests.unit.graphs.preset_trainings"]
    answer = subprocess.run(command, env=child_environment("tensorflow"), check=True, capture_output=True, text=True)
    losses = json.loads(answer.stdout.splitlines()[-1])
    assert sorted(losses) == SLUGS
    assert all(math.isfinite(loss) for loss in losses.values())
