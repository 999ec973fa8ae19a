"""Good model files with bytes changed, good configs with values changed: each is read or refused, nothing else."""

from __future__ import annotations

import copy
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.base.errors import AppError, BadRequest
from core.base.settings import Settings
from core.importing.reader import ModelReader, draw
from core.keras_worker.environment import child_environment
from core.keras_worker.pool import ChildPool, PoolOptions
from tests.unit.graphs.test_keras_json import KERAS_2
from tests.unit.importing.corpus import READ

# What a value of a config is replaced with.
JUNK: list[Any] = [
    *(None, True, 0, -1, 1.5, 10**30, "", "x", "None", "a" * 200, [], {}, [[]], [None], ["x", 0, 0]),
    {"class_name": "Dense"},
    {"class_name": 1, "config": 2},
    [[["x", 0, 0, {}]]],
    {"class_name": "Functional", "config": {}},
    {"module": "keras", "class_name": "Sequential", "config": {"layers": []}},
]


def damaged(content: bytes, chance: random.Random) -> bytes:
    """The content cut off, or with a few bytes changed."""
    if chance.random() < 0.2:
        return content[: chance.randrange(len(content))]
    changed = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 8])):
        place = chance.randrange(len(content))
        changed[place] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, changed[place] ^ (1 << chance.randrange(8))])
    return bytes(changed)


async def test_damaged_files_are_drawn_or_refused_even_those_on_which_hdf5_hangs(tmp_path: Path) -> None:
    chance = random.Random(5)
    reader = ModelReader(ChildPool(PoolOptions(keep=0)), Settings().model_copy(update={"import_seconds": 2}))
    for _ in range(400):
        name = chance.choice(sorted(READ))
        path = tmp_path / f"model{Path(name).suffix}"
        path.write_bytes(damaged(READ[name], chance))
        try:
            await reader.read("owner", path, name, "")
        except BadRequest as refused:
            assert refused.sentence
    await reader.pool.close()


@pytest.fixture(scope="module")
def models() -> list[Any]:
    command = [sys.executable, "-m", "tests.unit.graphs.keras_models"]
    answer = subprocess.run(command, env=child_environment("numpy"), check=True, capture_output=True, text=True)
    return [*json.loads(answer.stdout.splitlines()[-1]).values(), KERAS_2]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to every value inside this one."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def damage(model: Any, chance: random.Random) -> tuple[Any, ...]:
    """Replaces or removes one value; its path."""
    *way, last = path = chance.choice([*places(model)])
    for key in way:
        model = model[key]
    if chance.random() < 0.15:
        del model[last]
    else:
        model[last] = copy.deepcopy(chance.choice(JUNK))
    return path


def test_fifteen_hundred_damaged_configs_are_drawn_or_refused(models: list[Any]) -> None:
    chance = random.Random(11)
    for _ in range(1500):
        model = copy.deepcopy(chance.choice(models))
        damaged = [damage(model, chance) for _ in range(chance.choice([1, 1, 1, 2, 3]))]
        try:
            draw("owner", {"model": model, "keras_version": ""}, "m.keras", "", 5_000_000)
        except AppError as refused:
            assert refused.body, damaged
