"""The engine gives bit for bit what Keras's own `fit` gives when that is fed the rows in the same order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import pytest

from core.keras_worker.pool import ChildPool
from tests.unit.keras_worker.trainings import SAMPLES, Job, hash_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("name", SAMPLES)
async def test_weights_history_and_evaluation_equal_those_of_fit(
    name: str, pool: ChildPool, plain_fits: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    job, plain = Job(SAMPLES[name](), tmp_path), plain_fits[name]
    async with pool.child("tensorflow") as child:
        result = await job.run(child)
    assert result["history"] == plain["history"]
    assert result["evaluation"] == plain["evaluation"]
    assert job.hash_of_state(plain["arrays"]) == plain["hash"]


async def test_best_model_and_log_equal_those_of_keras_callbacks(
    pool: ChildPool, plain_fits: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    job, plain = Job(SAMPLES["mlp"](), tmp_path), plain_fits["mlp"]
    async with pool.child("tensorflow") as child:
        result = await job.run(child)
    best: Any = keras.models.load_model(tmp_path / "artifacts" / result["artifacts"]["best"])
    assert hash_of(best.get_weights()) == plain["best"]
    assert (tmp_path / "artifacts" / result["artifacts"]["log"]).read_text().split() == plain["log"].split()
