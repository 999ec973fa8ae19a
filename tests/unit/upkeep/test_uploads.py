"""Jobs whose upload never came."""

from __future__ import annotations

from datetime import timedelta

from core.importing.states import ImportStatus
from core.jobs.quota import Held
from core.jobs.states import Status
from core.upkeep.kinds import IMPORTS, TRAININGS
from core.upkeep.uploads import end_never_uploaded
from tests.unit.upkeep.conftest import CSV, OWNER, World

OLD = timedelta(hours=25)


async def test_a_training_that_nothing_was_uploaded_for_ends_after_a_day_with_a_sentence(world: World) -> None:
    job = await world.training(age=OLD)
    assert (await world.turn(end_never_uploaded, TRAININGS))["ended"] == 1
    ended = await world.jobs.get(OWNER, job.id)
    assert ended.status is Status.FAILED
    assert ended.error == "Training failed: no file was uploaded in time."


async def test_an_import_that_nothing_was_uploaded_for_ends_and_gives_its_place_back(world: World) -> None:
    job = await world.importing(age=OLD)
    assert (await world.turn(end_never_uploaded, IMPORTS))["ended"] == 1
    ended = await world.imports.get(OWNER, job.id)
    assert ended.status is ImportStatus.FAILED and ended.finished_at
    assert ended.error == "Import failed: no file was uploaded in time."
    assert await world.imports.held(OWNER) == Held()


async def test_what_is_young_claimed_running_or_has_its_file_keeps_waiting(world: World) -> None:
    for made in (
        await world.training(age=timedelta(hours=23)),
        await world.training(age=OLD, claim="somebody"),
        await world.training(age=OLD, status=Status.RUNNING),
        await world.training(age=OLD, upload=CSV),
    ):
        await world.turn(end_never_uploaded, TRAININGS)
        assert await world.jobs.get(OWNER, made.id) == made
    for made in (await world.importing(age=OLD, claim="somebody"), await world.importing(age=OLD, upload=CSV)):
        await world.turn(end_never_uploaded, IMPORTS)
        assert await world.imports.get(OWNER, made.id) == made
    assert len(await world.names("uploads")) == len(await world.names("imports")) == 1


async def test_a_job_whose_link_is_still_valid_keeps_waiting(world: World) -> None:
    world.set(upload_url_minutes=1440)
    valid, ended = await world.training(age=timedelta(hours=24, minutes=10)), await world.training(age=OLD)
    await world.turn(end_never_uploaded, TRAININGS)
    assert (await world.jobs.get(OWNER, valid.id)).queued
    assert not (await world.jobs.get(OWNER, ended.id)).queued
