"""Files of ended jobs, after ARTIFACT_RETENTION_DAYS."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.base.blobs import pack
from core.base.errors import BadRequest, NotFound
from core.importing.states import ImportStatus
from core.jobs.states import Status
from core.serving.artifacts import artifact_url
from core.serving.models import model_file
from core.training.initial_weights import find_import
from core.training.results import ARTIFACTS, EXPORTS
from core.upkeep.belongings import PLACES
from core.upkeep.kinds import IMPORTS, TRAININGS
from core.upkeep.leftovers import delete_leftovers
from core.upkeep.retention import end_retention
from tests.unit.upkeep.conftest import DAY, LATER, OWNER, World

RESULT = {"history": {"loss": [1.0]}, "best_model_artifact": "x", "training_log_artifact": "y", "exports": ["tflite"]}


async def test_the_files_of_a_training_go_after_their_days_and_its_row_and_result_stay(world: World) -> None:
    job = await world.training(age=31 * DAY, status=Status.SUCCEEDED, document=pack(RESULT))
    job = await world.put(replace(job, artifact_path=f"{job.folder}/model.keras"))
    await world.artifacts(
        f"{job.folder}/graph.json.gz", *(f"{job.folder}/{file.file}" for file in (ARTIFACTS | EXPORTS).values())
    )
    local = world.clients.settings.work_dir / "models" / f"{job.id}.keras"
    local.parent.mkdir()
    local.write_bytes(b"a copy from before")

    assert (await world.turn(end_retention, TRAININGS))["marked"] == 1
    await world.turn(delete_leftovers, PLACES["artifacts"])
    assert not await world.names("artifacts")
    removed = await world.jobs.get(OWNER, job.id)
    shown = await world.jobs.view(removed)
    assert shown["status"] == "succeeded" and shown["artifact_path"] == ""
    assert shown["result"]["history"] == {"loss": [1.0]}
    assert shown["result"]["best_model_artifact"] is shown["result"]["training_log_artifact"] is None
    assert shown["result"]["exports"] == []
    assert shown["result"]["files_removed_at"].startswith(LATER.date().isoformat())
    with pytest.raises(NotFound, match=f"removed on {LATER.date()}; train again"):
        await artifact_url(world.clients, removed, "final")
    with pytest.raises(NotFound, match="removed; train again"):
        await model_file(world.clients, removed)


async def test_younger_files_and_those_of_open_jobs_stay(world: World) -> None:
    made = [
        await world.training(age=29 * DAY, status=Status.SUCCEEDED),
        await world.training(age=90 * DAY),
        await world.training(age=90 * DAY, status=Status.RUNNING),
    ]
    names = {f"{job.folder}/model.keras" for job in made}
    await world.artifacts(*names)
    await world.turn(end_retention, TRAININGS)
    await world.turn(delete_leftovers, PLACES["artifacts"])
    assert await world.names("artifacts") == names
    for job in made:
        assert await world.jobs.get(OWNER, job.id) == job


async def test_with_0_days_files_are_kept_for_ever(world: World) -> None:
    world.set(artifact_retention_days=0)
    job = await world.training(age=9999 * DAY, status=Status.SUCCEEDED)
    await world.artifacts(f"{job.folder}/model.keras")
    await world.turn(end_retention, TRAININGS)
    await world.turn(delete_leftovers, PLACES["artifacts"])
    assert await world.names("artifacts") == {f"{job.folder}/model.keras"}
    assert await world.jobs.get(OWNER, job.id) == job


async def test_a_job_is_marked_once(world: World) -> None:
    await world.training(age=31 * DAY, status=Status.SUCCEEDED)
    await world.turn(end_retention, TRAININGS)
    [marked] = await world.jobs.list(OWNER)
    assert "marked" not in await world.turn(end_retention, TRAININGS, at=LATER + 99 * DAY)
    assert await world.jobs.list(OWNER) == [marked]


async def test_what_an_import_has_read_goes_from_its_row_and_from_its_blob(world: World) -> None:
    small = await world.importing(age=31 * DAY, status=ImportStatus.SUCCEEDED, document=pack({"nodes": []}))
    large = await world.importing(age=31 * DAY, status=ImportStatus.SUCCEEDED)
    weights = f"{large.folder}/weights.bin"
    large = await world.put(replace(large, document_name=f"{large.folder}/import.json.gz", weights_name=weights))
    young = await world.importing(age=29 * DAY, status=ImportStatus.SUCCEEDED, document=pack({"nodes": []}))
    await world.artifacts(large.document_name, weights)
    assert (await world.turn(end_retention, IMPORTS))["marked"] == 2
    await world.turn(delete_leftovers, PLACES["artifacts"])
    assert not await world.names("artifacts")
    for job in (small, large):
        removed = await world.imports.get(OWNER, job.id)
        assert removed.files_removed_at and await world.imports.payload(removed) is None
        assert removed.view(None, None)["weights"] is None
        with pytest.raises(BadRequest) as refused:
            await find_import(world.clients, OWNER, job.id)
        [told] = refused.value.body["initial_weights"]
        assert f"removed on {LATER.date()}; import the file again" in told
    assert await world.imports.get(OWNER, young.id) == young
