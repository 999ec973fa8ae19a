"""Trainings that begin with the weights of an import: taken layer by layer, told, and kept where they are frozen."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.keras_worker.environment import APP_ROOT, child_environment
from core.keras_worker.errors import Refused
from core.keras_worker.pool import ChildPool
from tests.unit.keras_worker.trainings import Job
from tests.unit.keras_worker.transfers import Nodes, Transfer, arrays_of, changed, freeze, read_import
from tests.weighted_models import COLUMNS

pytestmark = pytest.mark.asyncio(loop_scope="session")

# With so small a rate no weight but one that is zero moves by a bit.
STILL = {"learning_rate": 1e-30, "epochs": 1, "optimizer": "sgd"}


async def base(pool: ChildPool, weighted_models: Path, folder: Path) -> Transfer:
    (folder / "import").mkdir()
    return await read_import(pool, weighted_models / "base.keras", folder / "import")


async def trained(pool: ChildPool, job: Job) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What `prepare` and `finish` said, and the weights of the final model."""
    async with pool.child("tensorflow") as child:
        prepared = await job.prepare(child)
        await job.train(child)
        finished = await job.finish(child)
    return prepared | finished, arrays_of(job.work / "artifacts" / "model.keras")


async def told(pool: ChildPool, job: Job) -> dict[str, Any]:
    async with pool.child("tensorflow") as child:
        return (await job.prepare(child))["initial_weights"]


def with_head(nodes: Nodes) -> None:
    """The last layer, made one of one unit."""
    nodes[-1]["params"]["units"] = 1


async def test_every_kind_of_layer_takes_its_weights_from_either_kind_of_file(
    pool: ChildPool, weighted_models: Path, tmp_path: Path
) -> None:
    folders = [tmp_path / ending for ending in ("keras", "h5")]
    for folder in folders:
        folder.mkdir()
        transfer = await read_import(pool, weighted_models / f"every.{folder.name}", folder)
        (folder / "graph.json").write_text(json.dumps(transfer.graph()), "utf-8")
    command = [sys.executable, "-m", "tests.unit.keras_worker.taking", *map(str, folders)]
    subprocess.run(command, cwd=APP_ROOT, env=child_environment("numpy"), check=True, capture_output=True)
    for folder in folders:
        report = json.loads((folder / "report.json").read_text("utf-8"))
        assert report["not_taken"] == [] and len(report["taken"]) == 16
        assert report["parameters_taken"] == report["parameters_total"] == sum(e["parameters"] for e in report["taken"])
        assert {"nested/left", "nested/level", "both"} <= {entry["layer"] for entry in report["taken"]}
        assert changed(arrays_of(weighted_models / "every.keras"), arrays_of(folder / "model.keras")) == set()


async def test_frozen_layers_keep_their_weights_to_the_last_bit(
    pool: ChildPool, weighted_models: Path, tmp_path: Path
) -> None:
    (tmp_path / "import").mkdir()
    transfer = await read_import(pool, weighted_models / "held.keras", tmp_path / "import")
    job = transfer.job(tmp_path / "job", COLUMNS["held"], lambda nodes: freeze(nodes, but=["out"]))
    result, after = await trained(pool, job)
    assert result["initial_weights"]["not_taken"] == [] and result["notes"] == []
    assert changed(arrays_of(weighted_models / "held.keras"), after) == {"dense/vars/0", "dense/vars/1"}


async def test_a_layer_that_takes_nothing_begins_as_without_an_import(
    pool: ChildPool, weighted_models: Path, tmp_path: Path
) -> None:
    transfer = await base(pool, weighted_models, tmp_path)
    without = transfer.job(tmp_path / "without", 2, with_head, **STILL, initial_weights=None)
    taking = transfer.job(tmp_path / "taking", 2, with_head, **STILL)
    result, fresh = await trained(pool, without)
    assert "initial_weights" not in result and result["notes"] == []
    result, after = await trained(pool, taking)
    assert [entry["layer"] for entry in result["initial_weights"]["taken"]] == ["scale", "hidden", "batch"]
    assert result["notes"] == [
        "33 of 38 parameters began with the import's weights, the others afresh; initial_weights names the layers."
    ]
    original = arrays_of(weighted_models / "base.keras")
    assert (after["dense/vars/0"] == original["dense/vars/0"]).all()
    assert (after["dense_1/vars/0"] == fresh["dense_1/vars/0"]).all()
    assert (fresh["dense/vars/0"] != original["dense/vars/0"]).any()


async def test_what_does_not_fit_is_told_layer_by_layer(pool: ChildPool, weighted_models: Path, tmp_path: Path) -> None:
    transfer = await base(pool, weighted_models, tmp_path)

    def edit(nodes: Nodes) -> None:
        hidden, batch = (next(n for n in nodes if n["label"] == name) for name in ("hidden", "batch"))
        hidden |= {"label": "renamed by the user"}
        hidden["params"]["use_bias"] = False
        batch |= {"id": "another", "type": "LayerNormalization", "label": "level", "params": {}}
        with_head(nodes)

    payload = transfer.read.payload
    [batch_id] = [node["id"] for node in payload["nodes"] if node["label"] == "batch"]
    for edge in payload["edges"]:
        edge |= {end: "another" for end in ("source", "target") if edge[end] == batch_id}
    report = await told(pool, transfer.job(tmp_path / "job", 2, edit))
    assert report == {
        "taken": [{"layer": "scale", "parameters": 5}],
        "not_taken": [
            {"layer": "renamed_by_the_user", "reason": "it has 1 weights here and 2 in the import"},
            {"layer": "level", "reason": "the import has no such layer"},
            {"layer": "top", "reason": "its kernel has the shape (4, 1) here and (4, 3) in the import"},
            {"layer": "batch", "reason": "the graph has no such layer"},
        ],
        "parameters_taken": 5,
        "parameters_total": 5 + 8 + 8 + 5,
    }


async def test_an_import_of_which_nothing_fits_is_refused(
    pool: ChildPool, weighted_models: Path, tmp_path: Path
) -> None:
    transfer = await base(pool, weighted_models, tmp_path)

    def edit(nodes: Nodes) -> None:
        for node in nodes:
            if node["label"] == "hidden":
                node["params"]["units"] = 7
            if node["label"] in ("scale", "batch"):
                node |= {"type": "Activation", "params": {"activation": "relu"}}
        with_head(nodes)

    with pytest.raises(Refused, match=r"None of the import's weights fit.*'hidden': its kernel has the shape \(2, 7\)"):
        await told(pool, transfer.job(tmp_path / "job", 2, edit))


async def test_a_network_of_frozen_layers_only_is_refused(
    pool: ChildPool, weighted_models: Path, tmp_path: Path
) -> None:
    transfer = await base(pool, weighted_models, tmp_path)

    def edit(nodes: Nodes) -> None:
        with_head(nodes)
        freeze(nodes)

    with pytest.raises(Refused, match="Nothing in this network can be trained"):
        await told(pool, transfer.job(tmp_path / "job", 2, edit))
