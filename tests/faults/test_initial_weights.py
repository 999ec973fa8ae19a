"""A training that began with an import's weights, killed again and again: it ends as the one that was left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.keras_worker.pool import ChildPool
from tests.faults.test_resume import run_with_kills
from tests.unit.keras_worker.transfers import Nodes, freeze, read_import
from tests.weighted_models import COLUMNS

pytestmark = pytest.mark.asyncio(loop_scope="session")

KILLS = ["checkpoint-renamed", "finish-begun"]


def with_head(nodes: Nodes) -> None:
    """Frozen but for its end, which is made another."""
    freeze(nodes, but=["batch", "top"])
    nodes[-1]["params"]["units"] = 1


async def test_killed_between_checkpoints_and_at_its_end_it_has_the_weights_of_the_undisturbed_one(
    pool: ChildPool, weighted_models: Path, tmp_path: Path
) -> None:
    (tmp_path / "import").mkdir()
    transfer = await read_import(pool, weighted_models / "base.keras", tmp_path / "import")
    left_alone, killed = (transfer.job(tmp_path / name, COLUMNS["base"], with_head) for name in ("alone", "killed"))
    undisturbed, _ = await run_with_kills(pool, left_alone, [])
    result, deaths = await run_with_kills(pool, killed, [{"step": step} for step in KILLS])
    assert deaths == len(KILLS)
    assert result == undisturbed
    assert killed.hash_of_state() == left_alone.hash_of_state()
