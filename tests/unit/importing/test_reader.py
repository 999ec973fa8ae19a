"""Model files to graphs, through real children: what Keras wrote can be drawn, whatever way it was packed."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

from core.base.errors import BadRequest, TooLarge, Unavailable
from core.base.settings import Settings
from core.importing.reader import ModelReader, UnreadableModel
from core.keras_worker.environment import child_environment
from core.keras_worker.errors import ChildDied
from core.keras_worker.pool import ChildPool, PoolOptions, default_start
from tests.unit.importing.corpus import dense, hdf5, keras_file, layer, metadata_pb, saved_model, sequential

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what Keras wrote."""
    folder = tmp_path_factory.mktemp("written")
    command = [sys.executable, "-m", "tests.unit.importing.saved_models", str(folder)]
    subprocess.run(command, env=child_environment("numpy"), check=True, capture_output=True)
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reader() -> AsyncIterator[ModelReader]:
    made = new_reader()
    yield made
    await made.pool.close()


def new_reader(start: Any = None, **changes: Any) -> ModelReader:
    chosen = Settings.model_validate({"import_memory_mb": 256, **changes})
    return ModelReader(ChildPool(PoolOptions(start=start or default_start(), keep=0)), chosen)


async def read(reader: ModelReader, folder: Path, name: str, content: bytes, graph_name: str = "") -> dict[str, Any]:
    path = folder / f"model{Path(name).suffix}"
    path.write_bytes(content)
    return await reader.payload("owner", path, name, graph_name)


def packed(path: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, f"my models/{path.name}")
    return buffer.getvalue()


def wires(payload: dict[str, Any]) -> set[tuple[str, str]]:
    labels = {node["id"]: node["label"] for node in payload["nodes"]}
    return {(labels[edge["source"]], labels[edge["target"]]) for edge in payload["edges"]}


@pytest.mark.parametrize("name", ["branches.keras", "branches.h5"])
@pytest.mark.parametrize("is_packed", [False, True])
async def test_what_keras_saved_is_drawn(
    reader: ModelReader, written: Path, tmp_path: Path, name: str, is_packed: bool
) -> None:
    content = packed(written / name) if is_packed else (written / name).read_bytes()
    payload = await read(reader, tmp_path, "up.zip" if is_packed else name, content)
    assert payload["name"] == "branches" and payload["metadata"] == {"keras_model_name": "branches"}
    assert payload["framework"] == "tf-keras" and payload["framework_version"].startswith("3.")
    assert payload["description"] == f"Imported from {'up.zip' if is_packed else name}"
    assert wires(payload) == {
        ("x", "left"),
        ("x", "right"),
        ("left", "both"),
        ("right", "both"),
        ("both", "out"),
    }
    params = {node["label"]: node["params"] for node in payload["nodes"]}
    assert params["x"] == {"shape": [8], "dtype": "float32", "name": "x"}
    assert params["left"]["units"] == 4 and params["left"]["activation"] == "relu"
    assert "id" not in payload


async def test_branches_stand_side_by_side_and_nothing_on_a_pile(
    reader: ModelReader, written: Path, tmp_path: Path
) -> None:
    payload = await read(reader, tmp_path, "m.keras", (written / "branches.keras").read_bytes())
    at = {node["label"]: (node["position"]["x"], node["position"]["y"]) for node in payload["nodes"]}
    assert len(set(at.values())) == len(at)
    shared = [axis for axis in (0, 1) if at["left"][axis] == at["right"][axis]]
    assert len(shared) == 1 and at["x"][shared[0]] < at["left"][shared[0]] < at["both"][shared[0]]


@pytest.mark.parametrize("name", ["stack.keras", "stack.h5"])
async def test_a_sequential_model_is_a_chain(reader: ModelReader, written: Path, tmp_path: Path, name: str) -> None:
    payload = await read(reader, tmp_path, name, (written / name).read_bytes(), graph_name="Mine")
    types = [node["type"] for node in payload["nodes"]]
    assert types == ["InputLayer", "LSTM", "Dropout", "Dense"] and len(payload["edges"]) == 3
    assert payload["name"] == "Mine" and payload["metadata"]["keras_model_name"] == "stack"


def keras_2() -> dict[str, Any]:
    """A functional model as Keras 2.4 wrote it: no modules, tensors as lists."""

    def old(name: str, class_name: str, inbound: Any, **config: Any) -> dict[str, Any]:
        return {"class_name": class_name, "name": name, "config": {"name": name, **config}, "inbound_nodes": inbound}

    layers = [
        old("x", "InputLayer", [], batch_input_shape=[None, 28, 28, 1], dtype="float32", sparse=False, ragged=False),
        old("c", "Conv2D", [[["x", 0, 0, {}]]], filters=4, kernel_size=[3, 3], padding="same", activation="relu"),
        old("a", "Add", [[["c", 0, 0, {}], ["x", 0, 0, {}]]]),
        old("f", "Flatten", [[["a", 0, 0, {}]]], data_format="channels_last"),
    ]
    config = {"name": "old", "layers": layers, "input_layers": [["x", 0, 0]], "output_layers": [["f", 0, 0]]}
    return {"class_name": "Functional", "config": config}


@pytest.mark.parametrize("name", ["old.h5", "old.zip"])
async def test_keras_2_models_are_read_from_hdf5_and_saved_models(
    reader: ModelReader, tmp_path: Path, name: str
) -> None:
    metadata = json.dumps({"class_name": "Functional", "model_config": keras_2(), "keras_version": "2.15.0"})
    content = hdf5(lambda file: None, keras_2()) if name == "old.h5" else saved_model(metadata_pb(("root", metadata)))
    payload = await read(reader, tmp_path, name, content)
    assert wires(payload) == {("x", "c"), ("c", "a"), ("x", "a"), ("a", "f")}
    assert payload["nodes"][0]["params"]["shape"] == [28, 28, 1]
    assert payload["framework_version"] == "2.15.0"


async def test_a_sequential_keras_2_model_without_input_gets_one(reader: ModelReader, tmp_path: Path) -> None:
    first = {"class_name": "Dense", "config": {"name": "d", "units": 3, "batch_input_shape": [None, 7]}}
    model = {"class_name": "Sequential", "config": [first]}
    payload = await read(reader, tmp_path, "old.h5", hdf5(lambda file: None, model))
    assert payload["nodes"][0]["notes"] == {"synthesized": True} and payload["nodes"][0]["params"]["shape"] == [7]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (keras_file({"class_name": "Mine", "config": {}}), "'Mine'"),
        (keras_file(sequential(layer("Gizmo"))), "not a layer of Keras"),
        (keras_file(sequential(dense(activation="my_own"))), "my_own"),
        (keras_file(sequential(dense(units=None))), "units"),
        (keras_file(sequential(dense(activation={"class_name": "function", "config": "system"}))), "system"),
    ],
)
async def test_what_is_no_part_of_keras_is_refused_by_the_catalogue(
    reader: ModelReader, tmp_path: Path, content: bytes, told: str
) -> None:
    with pytest.raises(BadRequest) as caught:
        await read(reader, tmp_path, "m.keras", content)
    assert told in caught.value.sentence


async def test_a_drawing_too_large_to_be_saved_is_refused(reader: ModelReader, tmp_path: Path) -> None:
    limits = {"max_graph_bytes": 2000}
    narrow = ModelReader(reader.pool, Settings().model_copy(update=limits))
    with pytest.raises(TooLarge, match="at most 2,000"):
        await read(narrow, tmp_path, "m.keras", keras_file(sequential(*(dense(f"d{number}") for number in range(12)))))


async def test_a_started_child_reads_as_a_forked_one_and_knows_no_secret(
    reader: ModelReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASPNET_JWT_KEY", "secret")
    monkeypatch.setenv("AzureWebJobsStorage", "AccountKey=secret")
    content = keras_file(sequential(dense()))
    spawning = new_reader("spawn")
    payloads = [await read(each, tmp_path, "m.keras", content) for each in (reader, spawning)]
    async with spawning.pool.child("none") as child:
        assert "secret" not in str(psutil.Process(child.pid).environ())
    await spawning.pool.close()
    assert payloads[0]["nodes"][1]["params"] == payloads[1]["nodes"][1]["params"] == {"units": 2}


async def test_a_child_that_reads_models_has_no_keras_in_it() -> None:
    script = "import sys, core.keras_worker.read_model; print({'keras', 'tensorflow', 'azure'} & {*sys.modules})"
    command = [sys.executable, "-c", script]
    answer = subprocess.run(command, env=child_environment("none"), check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == "set()"


async def test_a_file_that_takes_too_long_is_refused(tmp_path: Path, reader: ModelReader) -> None:
    def many_groups(file: Any) -> None:
        for number in range(20_000):
            file.create_group(f"g{number}")

    hasty = ModelReader(reader.pool, Settings().model_copy(update={"import_seconds": 0.01}))
    with pytest.raises(UnreadableModel) as caught:
        await read(hasty, tmp_path, "m.h5", hdf5(many_groups))
    assert "longer than" in caught.value.sentence


async def test_a_file_that_takes_too_much_memory_is_refused(tmp_path: Path, reader: ModelReader) -> None:
    limits = {"import_memory_mb": 4, "max_graph_bytes": 50_000_000}
    poor = ModelReader(reader.pool, Settings().model_copy(update=limits))
    with pytest.raises(UnreadableModel) as caught:
        await read(poor, tmp_path, "m.keras", keras_file('{"a":[' + "[]," * 5_000_000 + "0]}"))
    assert "memory" in caught.value.sentence


async def test_a_child_that_dies_at_a_file_is_not_asked_for_ever(tmp_path: Path, reader: ModelReader) -> None:
    killed: list[int] = []
    call = reader.pool.child

    def child(kind: str, key: str | None = None) -> Any:
        return Killed(call(kind, key), killed)

    dying = new_reader()
    dying.pool.child = child  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(UnreadableModel) as caught:
        await read(dying, tmp_path, "m.keras", keras_file(sequential(dense())))
    assert "save the model again" in caught.value.sentence and len(killed) == 3


async def test_no_child_at_all_is_our_trouble_and_not_the_files(tmp_path: Path) -> None:
    class Exhausted(ChildPool):
        @asynccontextmanager
        async def child(self, *arguments: Any, **options: Any) -> AsyncIterator[Any]:
            raise ChildDied("no process can be started")
            yield

    exhausted = ModelReader(Exhausted(), Settings())
    with pytest.raises(Unavailable):
        await read(exhausted, tmp_path, "m.keras", keras_file(sequential(dense())))


class Killed:
    """A child that is killed as soon as it is taken."""

    def __init__(self, context: Any, killed: list[int]) -> None:
        self._context, self._killed = context, killed

    async def __aenter__(self) -> Any:
        child = await self._context.__aenter__()
        psutil.Process(child.pid).kill()
        self._killed.append(child.pid)
        return child

    async def __aexit__(self, *error: Any) -> Any:
        return await self._context.__aexit__(*error)
