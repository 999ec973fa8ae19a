"""Trainings by the app against a plain script's `model.fit` with Keras's defaults, in one run.

`python dev.py bench training` measures from `POST start` to `succeeded` over HTTP on a warm host; with `--engine` the
pool of children alone. Both sides take turns, five times; each ratio is of medians and stands beside its target, and
every training must leave the very weights of a plain script that is fed the rows in the same order. Ends 1 if a target
is missed or weights differ.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np

ROOT = Path(__file__).parents[1]
ROUNDS = 5
SEED = 42


@dataclass(frozen=True)
class Case:
    """A network, given as layers in a row, its data, and the ratio that the app has to stay below."""

    name: str
    rows: int
    layers: list[tuple[str, dict[str, Any]]]
    params: dict[str, Any]
    target: float

    @property
    def features(self) -> int:
        return self.layers[0][1]["shape"][0]

    def data(self) -> np.ndarray:
        """rows × (features + 1): the target is the last column. Numbers that a CSV holds exactly."""
        chance = np.random.default_rng(len(self.name))
        if self.params["loss"] == "mse":
            x = chance.standard_normal((self.rows, self.features)).round(4)
            y = (np.sin(x[:, :3]).sum(axis=1) + x[:, 3]).round(4)
        else:
            x = chance.integers(0, 256, (self.rows, self.features))
            y = x[:, : self.features // 2].sum(axis=1) % 10
        return np.column_stack([x, y])

    def table(self) -> bytes:
        """The same as a CSV."""
        whole = self.params["loss"] != "mse"
        lines = [",".join([*self.columns, "y"])]
        lines += [",".join(str(int(cell)) if whole else repr(float(cell)) for cell in row) for row in self.data()]
        return ("\n".join(lines) + "\n").encode()

    @property
    def columns(self) -> list[str]:
        return [f"x{at}" for at in range(self.features)]

    def graph(self) -> dict[str, Any]:
        """As the canvas sends it."""
        nodes = [{"id": f"n{at}", "type": kind, "params": params} for at, (kind, params) in enumerate(self.layers)]
        edges = [
            {"id": f"e{at}", "source": f"n{at}", "target": f"n{at + 1}", "meta": {}}
            for at in range(len(self.layers) - 1)
        ]
        return {"name": self.name, "nodes": nodes, "edges": edges}

    def parameters(self) -> dict[str, Any]:
        """As the canvas sends them: all rows are trained on."""
        return {"x_columns": self.columns, "y_column": "y", "validation_split": 0.0, "test_split": 0.0} | self.params


def _mlp(features: int) -> list[tuple[str, dict[str, Any]]]:
    return [
        ("Input", {"shape": [features]}),
        ("Dense", {"units": 64, "activation": "relu"}),
        ("Dense", {"units": 32, "activation": "relu"}),
        ("Dense", {"units": 1}),
    ]


_CNN: list[tuple[str, dict[str, Any]]] = [
    ("Input", {"shape": [784]}),
    ("Reshape", {"target_shape": [28, 28, 1]}),
    ("Rescaling", {"scale": 0.00390625}),
    ("Conv2D", {"filters": 32, "kernel_size": [3, 3], "activation": "relu"}),
    ("MaxPooling2D", {}),
    ("Conv2D", {"filters": 64, "kernel_size": [3, 3], "activation": "relu"}),
    ("Flatten", {}),
    ("Dense", {"units": 10, "activation": "softmax"}),
]
_REGRESSION = {"loss": "mse", "batch_size": 32}
_CLASSES = {"loss": "SparseCategoricalCrossentropy", "batch_size": 32}
CASES = [
    Case("20,000 x 10, MLP, 5 epochs", 20_000, _mlp(10), _REGRESSION | {"epochs": 5}, 0.6),
    Case("100,000 x 20, MLP, 10 epochs", 100_000, _mlp(20), _REGRESSION | {"epochs": 10}, 0.35),
    Case("6,000 images of 28 x 28, CNN, 10 epochs", 6_000, _CNN, _CLASSES | {"epochs": 10}, 1.05),
]


def plain_script() -> None:
    """The other side, a process of its own: for each line `[case, model or null]` either fits the case and prints the
    seconds, or prints whether the stored model has the weights of a fit in the engine's order."""
    import keras

    wanted: dict[int, str] = {}
    for line in sys.stdin:
        number, path = json.loads(line)
        case = CASES[number]
        table = case.data()
        x, y = table[:, :-1].astype(np.float32), table[:, -1].astype(np.float32)
        order = np.arange(len(x))
        np.random.default_rng(42).shuffle(order)
        x, y = x[order], y[order]
        if path is None:
            model = _plain_model(case)
            started = time.perf_counter()
            model.fit(x, y, batch_size=case.params["batch_size"], epochs=case.params["epochs"], verbose=0)
            print(json.dumps(time.perf_counter() - started), flush=True)
            continue
        if number not in wanted:
            model = _plain_model(case)
            for epoch in range(case.params["epochs"]):
                rows = np.random.default_rng([SEED, epoch]).permutation(len(x))
                model.fit(x[rows], y[rows], batch_size=case.params["batch_size"], shuffle=False, verbose=0)
            wanted[number] = _hash(model)
        stored = keras.models.load_model(path)
        print(json.dumps(_hash(stored) == wanted[number]), flush=True)


def _plain_model(case: Case) -> Any:
    import keras

    keras.utils.clear_session()
    keras.utils.set_random_seed(SEED)
    layers = [getattr(keras.layers, kind)(**params) for kind, params in case.layers[1:]]
    model = keras.Sequential([keras.Input((case.features,)), *layers])
    loss = {"mse": "mse"}.get(case.params["loss"], "sparse_categorical_crossentropy")
    model.compile(optimizer="adam", loss=loss)
    return model


def _hash(model: Any) -> str:
    return hashlib.sha256(b"".join(weights.tobytes() for weights in model.get_weights())).hexdigest()


class PlainScript:
    """Talks to `plain_script`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.training", "plain"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )

    def seconds(self, number: int) -> float:
        return self._ask(number, None)

    def has_its_weights(self, number: int, model: Path) -> bool:
        return self._ask(number, str(model))

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _ask(self, number: int, model: str | None) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([number, model]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


Train = Callable[[Case, bytes, Path], float]


@contextlib.contextmanager
def engine_alone() -> Iterator[Train]:
    """Trains through the pool: prepare, train, finish in one warm-started child; no host, no storage."""
    from core.graphs.schema import check_graph
    from core.keras_worker.pool import ChildPool, PoolOptions
    from core.training.parameters import TrainingParameters

    pool = ChildPool(PoolOptions())

    async def run(case: Case, table: bytes, model: Path) -> float:
        work = model.parent / "work"
        work.mkdir()
        (work / "source.csv").write_bytes(table)
        graph = case.graph()
        arguments = {
            "work": str(work),
            "graph": check_graph(graph["nodes"], graph["edges"]),
            "params": TrainingParameters.model_validate(case.parameters()).model_dump(),
            "threads": pool.options.threads,
            "seed": SEED,
            "limits": {"rows": sys.maxsize, "parameters": sys.maxsize},
        }
        await pool.warm("tensorflow")
        started = time.perf_counter()
        async with pool.child("tensorflow") as child:
            await child.call("prepare", arguments | {"csv": str(work / "source.csv")})
            await child.call("train", arguments | {"seconds": None})
            await child.call("finish", arguments)
        seconds = time.perf_counter() - started
        (work / "artifacts" / "model.keras").rename(model)
        return seconds

    with asyncio.Runner() as runner:
        yield lambda case, table, model: runner.run(run(case, table, model))
        runner.run(pool.close())


@contextlib.contextmanager
def over_http(waits: dict[str, list[float]]) -> Iterator[Train]:
    """Trains as the canvas does; `waits` collects how long reading a job took, in seconds, idle and while training."""
    from bench.served import served

    with served() as (client, _):

        def train(case: Case, table: bytes, model: Path) -> float:
            made = client.post("/api/network/graphs/", json=case.graph()).raise_for_status().json()
            signed = client.post(f"/api/network/graphs/{made['id']}/presign-upload/", json=case.parameters())
            job = signed.raise_for_status().json()
            headers = {**job["headers"], "Content-Type": "text/csv"}
            httpx.put(job["upload_url"], content=table, headers=headers, trust_env=False, timeout=60).raise_for_status()
            path = f"/api/network/training-jobs/{job['job_id']}/"
            started = time.perf_counter()
            client.post(f"{path}start/").raise_for_status()
            while (state := _read(client, path, waits["training"]))["status"] in ("queued", "running"):
                time.sleep(0.02)
            seconds = time.perf_counter() - started
            assert state["status"] == "succeeded", state["error"]
            link = client.get(f"{path}artifact/").raise_for_status().json()["url"]
            model.write_bytes(httpx.get(link, trust_env=False).raise_for_status().content)
            for _ in range(100):
                _read(client, path, waits["idle"])
                time.sleep(0.02)
            return seconds

        # The first training on a host also starts its fork server.
        with tempfile.TemporaryDirectory() as folder:
            small = Case("warm-up", 100, _mlp(10), _REGRESSION | {"epochs": 1}, 0)
            train(small, small.table(), Path(folder) / "model.keras")
        for times in waits.values():
            times.clear()
        yield train


def _read(client: httpx.Client, path: str, times: list[float]) -> dict[str, Any]:
    started = time.perf_counter()
    answer = client.get(path).raise_for_status()
    times.append(time.perf_counter() - started)
    return answer.json()


def measure(train: Train, plain: PlainScript, number: int) -> bool:
    """Both sides in turn; prints the ratio, and says whether it and the weights are as they should be."""
    case = CASES[number]
    table = case.table()
    ours: list[float] = []
    theirs: list[float] = []
    equal = True
    for _ in range(ROUNDS):
        theirs.append(plain.seconds(number))
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder) / "model.keras"
            ours.append(train(case, table, model))
            equal = plain.has_its_weights(number, model) and equal
    ratio = statistics.median(ours) / statistics.median(theirs)
    met = ratio <= case.target and equal
    print(
        f"{'ok  ' if met else 'MISS'} {case.name:<40} {ratio:5.2f} (target {case.target:g})"
        f"  {statistics.median(ours):6.2f} s against {statistics.median(theirs):6.2f} s,"
        f" weights {'equal' if equal else 'DIFFER'}",
        flush=True,
    )
    return met


def reading_stays_quick(waits: dict[str, list[float]]) -> bool:
    """Whether the 99th percentile of reading a job, while one trains, is within twice that of an idle host."""
    idle, training = (float(np.percentile(waits[when], 99)) * 1000 for when in ("idle", "training"))
    met = training <= 2 * idle
    verdict = "ok  " if met else "MISS"
    print(f"{verdict} GET training-jobs/{{id}}/, p99: {training:.1f} ms, idle {idle:.1f} ms (target 2 x)")
    return met


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.training", description=__doc__)
    parser.add_argument("--engine", action="store_true", help="measure the pool of children alone")
    engine = parser.parse_args().engine
    waits: dict[str, list[float]] = {"idle": [], "training": []}
    with contextlib.closing(PlainScript()) as plain, engine_alone() if engine else over_http(waits) as train:
        met = [measure(train, plain, number) for number in range(len(CASES))]
    if not engine:
        met.append(reading_stays_quick(waits))
    return 0 if all(met) else 1


if __name__ == "__main__":
    if sys.argv[1:] == ["plain"]:
        plain_script()
    else:
        sys.exit(main())
