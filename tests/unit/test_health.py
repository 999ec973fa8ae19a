"""What health says of the parts that are not storage."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from core.health.api import _look
from core.keras_worker import launch
from core.keras_worker.errors import ChildDied
from core.keras_worker.shared import shared_pool


class TaskHub:
    """A durable client whose host answers, or does not."""

    def __init__(self, *, answers: bool) -> None:
        self._answers = answers

    async def get_status(self, instance_id: str) -> None:
        if not self._answers:
            raise aiohttp.ClientConnectionError


async def test_a_task_hub_that_does_not_answer_is_named() -> None:
    well, ill = await _look(TaskHub(answers=True)), await _look(TaskHub(answers=False))
    assert (well["tasks"], ill["tasks"]) == (True, False)
    assert [sentence for sentence in ill["reasons"] if "task hub" in sentence]


async def test_children_that_cannot_be_started_are_named_until_one_can(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pool = shared_pool()
    try:
        with monkeypatch.context() as patch:
            patch.setattr(launch, "child_command", lambda *words: ["false"])
            with pytest.raises(ChildDied):
                async with pool.child("none"):
                    pass
            ill = await _look(TaskHub(answers=True))
        async with pool.child("none"):
            well = await _look(TaskHub(answers=True))
    finally:
        await pool.close()
    assert (ill["children"], well["children"]) == (False, True)
    assert [sentence for sentence in ill["reasons"] if "Child processes" in sentence]
