"""Blobs that no row needs go; whatever a row needs, is young, or has a name that nobody knows stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from core.base.blobs import write_blob
from core.base.clock import newest_first_id, now, timestamp
from core.graphs.graph import Graph
from core.graphs.snapshot_store import SnapshotStore
from core.graphs.store import GraphStore
from core.importing.states import ImportStatus
from core.jobs.states import Status
from core.training.results import ARTIFACTS, EXPORTS
from core.upkeep.belongings import PLACES
from core.upkeep.leftovers import delete_leftovers
from tests.unit.upkeep.conftest import CSV, DAY, LATER, OWNER, World

NOBODY = f"{OWNER}/{newest_first_id()}"
FILES = [artifact.file for artifact in (ARTIFACTS | EXPORTS).values()]


async def clean(world: World, place: str) -> None:
    await world.turn(delete_leftovers, PLACES[place])


async def test_uploads_of_open_jobs_stay_and_those_of_ended_and_missing_ones_go(world: World) -> None:
    needed = [
        await world.training(age=9 * DAY, upload=CSV),
        await world.training(age=9 * DAY, upload=CSV, claim="x", status=Status.RUNNING),
        await world.training(age=timedelta(hours=20), upload=CSV, status=Status.SUCCEEDED),
    ]
    for status in (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED):
        await world.training(age=2 * DAY, upload=CSV, status=status)
    await write_blob(world.clients.uploads, f"{NOBODY}/source.csv", CSV, "text/csv")
    await clean(world, "uploads")
    assert await world.names("uploads") == {job.dataset_path for job in needed}


async def test_uploaded_models_of_open_imports_stay_and_those_of_ended_and_missing_ones_go(world: World) -> None:
    needed = await world.importing(age=9 * DAY, upload=b"x")
    await world.importing(age=2 * DAY, upload=b"x", status=ImportStatus.CANCELLED)
    await write_blob(world.clients.imports, f"{NOBODY}/model.h5", b"x", "application/octet-stream")
    await clean(world, "imports")
    assert await world.names("imports") == {needed.upload_path}


async def test_blobs_of_names_that_are_in_no_line_stay(world: World) -> None:
    job = await world.training(age=9 * DAY, status=Status.FAILED)
    unknown = {f"{NOBODY}/table.csv", f"{job.folder}/table.csv", "source.csv", f"x/{NOBODY}/source.csv"}
    for container in ("uploads", "imports", "artifacts", "graphs"):
        for name in unknown:
            await write_blob(getattr(world.clients, container), name, b"x", "text/csv")
        await clean(world, container)
        assert await world.names(container) == unknown


async def test_a_blob_that_is_younger_than_a_day_stays_since_its_row_may_be_on_the_way(world: World) -> None:
    places = {
        "uploads": f"{NOBODY}/source.csv",
        "imports": f"{NOBODY}/model.keras",
        "artifacts": f"{NOBODY}/graph.json.gz",
        "graphs": f"{NOBODY}/1.json.gz",
    }
    for place, name in places.items():
        await write_blob(getattr(world.clients, place), name, b"x", "application/gzip")
        await world.turn(delete_leftovers, PLACES[place], at=now() + timedelta(hours=23))
        assert await world.names(place) == {name}
        await world.turn(delete_leftovers, PLACES[place], at=now() + timedelta(hours=25))
        assert not await world.names(place)


async def test_the_folder_of_a_job_that_is_not_there_goes(world: World) -> None:
    other = await world.training(age=9 * DAY, status=Status.SUCCEEDED)
    await world.artifacts(f"{other.folder}/graph.json.gz")
    names = [*FILES, "graph.json.gz", "result.json.gz", "checkpoints/latest.json", "checkpoints/e1/weights.npy"]
    await world.artifacts(*(f"{NOBODY}/{name}" for name in names), f"{NOBODY}/import.json.gz")
    await clean(world, "artifacts")
    assert await world.names("artifacts") == {f"{other.folder}/graph.json.gz"}


async def test_a_training_that_has_succeeded_keeps_its_files_and_loses_its_checkpoints(world: World) -> None:
    job = await world.training(age=9 * DAY, status=Status.SUCCEEDED)
    kept = {f"{job.folder}/{name}" for name in [*FILES, "graph.json.gz"]}
    await world.artifacts(*kept, f"{job.folder}/checkpoints/latest.json", f"{job.folder}/checkpoints/e1/a.npy")
    await clean(world, "artifacts")
    assert await world.names("artifacts") == kept


async def test_a_training_that_did_not_succeed_keeps_nothing(world: World) -> None:
    for status in (Status.FAILED, Status.CANCELLED):
        job = await world.training(age=9 * DAY, status=status)
        await world.artifacts(
            *(f"{job.folder}/{name}" for name in [*FILES, "graph.json.gz", "checkpoints/latest.json"])
        )
    await clean(world, "artifacts")
    assert not await world.names("artifacts")


async def test_weights_stay_with_the_import_that_has_them_and_with_the_training_that_is_to_begin(world: World) -> None:
    source = await world.importing(age=9 * DAY, status=ImportStatus.SUCCEEDED)
    waiting = await world.training(age=9 * DAY)
    needed = {f"{source.folder}/weights.bin", f"{waiting.folder}/initial_weights.bin"}
    left = [
        f"{(await world.importing(age=9 * DAY, status=ImportStatus.FAILED)).folder}/weights.bin",
        f"{(await world.training(age=9 * DAY, status=Status.SUCCEEDED)).folder}/initial_weights.bin",
        f"{NOBODY}/weights.bin",
        f"{NOBODY}/initial_weights.bin",
    ]
    await world.artifacts(*needed, *left)
    await clean(world, "artifacts")
    assert await world.names("artifacts") == needed


async def test_a_training_that_is_open_or_has_just_ended_keeps_everything(world: World) -> None:
    made = [
        await world.training(age=9 * DAY),
        await world.training(age=9 * DAY, status=Status.RUNNING),
        await world.training(age=timedelta(hours=20), status=Status.FAILED),
    ]
    names = [*FILES, "graph.json.gz", "result.json.gz", "checkpoints/latest.json", "checkpoints/e1/a.npy"]
    kept = {f"{job.folder}/{name}" for job in made for name in names}
    await world.artifacts(*kept)
    await clean(world, "artifacts")
    assert await world.names("artifacts") == kept


async def test_a_result_stays_where_the_row_names_it_and_goes_where_it_is_in_the_row(world: World) -> None:
    job = await world.training(age=9 * DAY, status=Status.SUCCEEDED)
    named = f"{job.folder}/result.json.gz"
    at = timestamp(LATER - 9 * DAY)
    drawing = await world.importing(age=9 * DAY, status=ImportStatus.SUCCEEDED)
    names = {named, f"{drawing.folder}/import.json.gz"}
    rows = [replace(job, document_name=named), replace(drawing, document_name=f"{drawing.folder}/import.json.gz")]
    await world.artifacts(*names)
    for row in rows:
        await world.put(replace(row, updated_at=at))
    await clean(world, "artifacts")
    assert await world.names("artifacts") == names
    for row in rows:
        await world.put(replace(row, updated_at=at, document=b"packed", document_name=""))
    await clean(world, "artifacts")
    assert not await world.names("artifacts")


async def test_a_blob_that_is_written_anew_while_it_is_looked_at_stays(world: World) -> None:
    """The etag that was listed decides."""
    name = f"{NOBODY}/source.csv"
    await write_blob(world.clients.uploads, name, CSV, "text/csv")
    deleted: list[str] = []

    class Uploads:
        """The container, in which somebody is faster."""

        def __getattr__(self, attribute: str) -> object:
            return getattr(world.clients.uploads, attribute)

        async def delete_blob(self, *args: object, **options: object) -> None:
            deleted.append(name)
            await write_blob(world.clients.uploads, name, b"c\n3\n", "text/csv")
            await world.clients.uploads.delete_blob(*args, **options)  # pyright: ignore[reportArgumentType]

    await world.turn(delete_leftovers, replace(PLACES["uploads"], container=lambda _: Uploads()))
    assert deleted and await world.names("uploads") == {name}


async def test_revisions_that_no_row_names_go_and_the_named_ones_stay(world: World) -> None:
    at = timestamp(now())
    graph = Graph(newest_first_id(), OWNER, name="g", metadata={}, created_at=at, updated_at=at)
    store, snapshots = GraphStore(world.clients), SnapshotStore(world.clients)
    await store.create(graph)
    snapshot = await snapshots.create(OWNER, graph.id, "label", {"nodes": []})
    named = await world.names("graphs")
    assert len(named) == 2
    gone = newest_first_id()
    for orphan in (
        f"{OWNER}/{graph.id}/old.json.gz",
        f"{OWNER}/{gone}/old.json.gz",
        f"{OWNER}/snapshots/{snapshot.id}/old.json.gz",
        f"{OWNER}/snapshots/{gone}/old.json.gz",
    ):
        await write_blob(world.clients.graphs, orphan, b"x", "application/gzip")
    await clean(world, "graphs")
    assert await world.names("graphs") == named
    assert await store.get(OWNER, graph.id) == graph
    assert await snapshots.get(OWNER, snapshot.id) == snapshot


async def test_each_owner_is_asked_for_their_own_rows(world: World) -> None:
    """An id of one owner does not keep a blob of another alive."""
    job = await world.training(age=9 * DAY, upload=CSV)
    others = [f"{'0' * 32}/{job.id}/source.csv", f"{'f' * 32}/{job.id}/source.csv"]
    for name in others:
        await write_blob(world.clients.uploads, name, CSV, "text/csv")
    await clean(world, "uploads")
    assert await world.names("uploads") == {job.dataset_path}


async def test_a_round_that_is_out_of_time_goes_on_where_it_stopped(world: World) -> None:
    for number in range(5):
        await write_blob(world.clients.uploads, f"{OWNER}/{number}/source.csv", CSV, "text/csv")
    left = []
    for _ in range(3):
        await world.turn(delete_leftovers, PLACES["uploads"], page=2, seconds=0)
        left.append(len(await world.names("uploads")))
    assert left == [3, 1, 0]


async def test_a_walk_of_which_nothing_is_deleted_comes_to_its_end_too(world: World) -> None:
    for _ in range(5):
        await world.training(age=9 * DAY, upload=CSV)
    seen = [await world.turn(delete_leftovers, PLACES["uploads"], page=2, seconds=0) for _ in range(4)]
    assert [turn["seen"] for turn in seen] == [2, 2, 1, 2]
    assert [turn["to be continued"] for turn in seen] == [1, 1, 0, 1]
    assert len(await world.names("uploads")) == 5
