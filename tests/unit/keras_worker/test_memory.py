"""A file of a gigabyte passes through a child in little memory, to train on and to predict."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from core.keras_worker.child import Child
from core.keras_worker.csv_format import sniff_format
from core.keras_worker.pool import ChildPool
from tests.unit.keras_worker.stored_models import dense, number, stored
from tests.unit.keras_worker.trainings import DEFAULTS, NO_LIMITS, SEED, THREADS, mlp

FEATURES = 20
GIGABYTE = 1_000_000_000
# The largest part of a batch.
PART = 8 * 1024 * 1024


def write_csv(path: Path, size: int) -> None:
    chance = np.random.default_rng(0)
    names = [f"x{at}" for at in range(FEATURES)] + ["y"]
    with path.open("wb") as file:
        file.write((",".join(names) + "\n").encode())
        while file.tell() < size:
            block = pl.DataFrame(chance.standard_normal((50_000, FEATURES + 1)).round(6), schema=names)
            file.write(block.write_csv(include_header=False).encode())


async def watch(child: Child, peak: list[int]) -> None:
    while True:
        peak.append(child.memory_bytes())
        await asyncio.sleep(0.05)


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.asyncio(loop_scope="session")
async def test_a_gigabyte_of_csv_trains_in_less_than_a_gigabyte_of_anonymous_memory(
    pool: ChildPool, tmp_path: Path
) -> None:
    csv = tmp_path / "source.csv"
    write_csv(csv, GIGABYTE)
    names = [f"x{at}" for at in range(FEATURES)]
    changes = {"x_columns": names, "y_column": "y", "epochs": 1, "batch_size": 512, "standardize": True}
    arguments = {
        "work": str(tmp_path),
        "graph": mlp(FEATURES),
        "params": DEFAULTS | changes,
        "threads": THREADS,
        "seed": SEED,
        "limits": NO_LIMITS,
    }
    peak: list[int] = []
    async with pool.child("tensorflow") as child:
        watching = asyncio.ensure_future(watch(child, peak))
        await child.call("prepare", arguments | {"csv": str(csv)})
        await child.call("train", arguments | {"seconds": None})
        await child.call("finish", arguments)
        watching.cancel()
    assert max(peak) < GIGABYTE


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.asyncio(loop_scope="session")
async def test_a_gigabyte_of_csv_is_predicted_in_less_than_half_a_gigabyte_of_anonymous_memory(
    pool: ChildPool, tmp_path: Path
) -> None:
    csv, part, output = tmp_path / "rows.csv", tmp_path / "part.csv", tmp_path / "predictions.csv"
    write_csv(csv, GIGABYTE)
    names = [f"x{at}" for at in range(FEATURES)]
    model = stored(tmp_path / "model.keras", dense(FEATURES, hidden=64), [number(name) for name in names])
    arguments = {"model": str(model), "memory_bytes": 1 << 30, "source": str(part), "output": str(output)}
    arguments["format"] = asdict(sniff_format(csv, names))
    size, start, row, peak = csv.stat().st_size, 0, 1, list[int]()
    async with pool.child("tensorflow") as child:
        watching = asyncio.ensure_future(watch(child, peak))
        with csv.open("rb") as file:
            while start < size:
                file.seek(start)
                part.write_bytes(file.read(PART))
                answer = await child.call("predict_csv", {**arguments, "first_row": row, "last": start + PART >= size})
                start, row = start + answer["consumed"], answer["next_row"]
        watching.cancel()
    assert max(peak) < GIGABYTE / 2
