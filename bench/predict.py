"""Predictions over HTTP, as the canvas asks for them: a warm model, a model not yet loaded, no child at all.

`python dev.py bench predict`: every figure beside its target; ends 1 if one is missed.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import httpx
import psutil

from bench.served import served
from devtools.host import Host

ROUNDS = 7
COLUMNS = [f"x{at}" for at in range(20)]
MLP: list[tuple[str, dict[str, Any]]] = [
    ("Input", {"shape": [len(COLUMNS)]}),
    ("Dense", {"units": 64, "activation": "relu"}),
    ("Dense", {"units": 32, "activation": "relu"}),
    ("Dense", {"units": 1}),
]


def rows(count: int) -> list[list[float]]:
    chance = random.Random(count)
    return [[chance.gauss(0, 1) for _ in COLUMNS] for _ in range(count)]


def table(cells: list[list[float]]) -> bytes:
    """A CSV of the rows, with a target."""
    lines = [",".join([*COLUMNS, "y"]), *(",".join(map(repr, [*row, sum(row)])) for row in cells)]
    return ("\n".join(lines) + "\n").encode()


def trained(client: httpx.Client) -> str:
    """The path of a training that has just succeeded; its model is not loaded anywhere."""
    nodes = [{"id": f"n{at}", "type": kind, "params": params} for at, (kind, params) in enumerate(MLP)]
    edges = [{"id": f"e{at}", "source": f"n{at}", "target": f"n{at + 1}"} for at in range(len(MLP) - 1)]
    graph = client.post("/api/network/graphs/", json={"name": "mlp", "nodes": nodes, "edges": edges})
    parameters = {"x_columns": COLUMNS, "y_column": "y", "epochs": 1}
    signed = client.post(f"/api/network/graphs/{graph.json()['id']}/presign-upload/", json=parameters).json()
    headers = {**signed["headers"], "Content-Type": "text/csv"}
    httpx.put(signed["upload_url"], content=table(rows(200)), headers=headers, trust_env=False).raise_for_status()
    path = f"/api/network/training-jobs/{signed['job_id']}/"
    client.post(f"{path}start/").raise_for_status()
    while (job := client.get(path).json())["status"] in ("queued", "running"):
        time.sleep(0.05)
    assert job["status"] == "succeeded", job["error"]
    return path


def asked(client: httpx.Client, path: str, body: bytes, kind: str = "application/json") -> float:
    """Milliseconds of one prediction."""
    started = time.perf_counter()
    client.post(f"{path}predict/", content=body, headers={"Content-Type": kind}).raise_for_status()
    return (time.perf_counter() - started) * 1000


def warm(client: httpx.Client, path: str, body: bytes, times: int) -> float:
    """The median over some calls, after a few that do not count."""
    for _ in range(5):
        asked(client, path, body)
    return statistics.median(asked(client, path, body) for _ in range(times))


def cold(client: httpx.Client, before: Callable[[], None]) -> float:
    """The median of first predictions, each with a model of its own."""
    body = json.dumps({"instances": rows(1)}).encode()
    times: list[float] = []
    for _ in range(ROUNDS):
        path = trained(client)
        before()
        times.append(asked(client, path, body))
    return statistics.median(times)


def batched(client: httpx.Client, path: str) -> float:
    """Milliseconds for each MB of a CSV through the batch door, from its start to its end."""
    block = table(rows(20_000))
    content = block + block[block.index(b"\n") + 1 :] * 5
    made = client.post(f"{path}batch-predictions/").raise_for_status()
    headers = {**made.json()["headers"], "Content-Type": "text/csv"}
    httpx.put(made.json()["upload_url"], content=content, headers=headers, trust_env=False, timeout=60)
    started = time.perf_counter()
    client.post(f"{made.headers['location']}start/").raise_for_status()
    while (batch := client.get(made.headers["location"]).json())["status"] in ("queued", "running"):
        time.sleep(0.05)
    assert batch["rows"] == 120_000, batch["error"]
    return (time.perf_counter() - started) * 1000 / (len(content) / 1e6)


def keras_processes(host: Host) -> list[psutil.Process]:
    """The TensorFlow processes below the host, the fork server first."""
    below = psutil.Process(host.pid).children(recursive=True)
    living = [process for process in below if process.status() != psutil.STATUS_ZOMBIE]
    found = [process for process in living if "tensorflow" in process.cmdline()]
    return sorted(found, key=lambda process: (process.create_time(), process.pid))


def end(processes: list[psutil.Process]) -> None:
    for process in processes:
        process.kill()
    psutil.wait_procs(processes, timeout=5)


def report(what: str, measured: float, target: float | None) -> bool:
    """One line, and whether the target is met."""
    met = target is None or measured <= target
    aim = "" if target is None else f" (target {target:g})"
    print(f"{'ok  ' if met else 'MISS'} {what:<60} {measured:8.1f} ms{aim}", flush=True)
    return met


def main() -> int:
    met: list[bool] = []
    with served() as (client, host):
        path = trained(client)
        one, thousand = (json.dumps({"instances": rows(count)}).encode() for count in (1, 1000))
        records = json.dumps({"records": [dict(zip(COLUMNS, row, strict=True)) for row in rows(1000)]}).encode()
        met.append(report("one row, warm, p50", warm(client, path, one, 300), 8))
        met.append(report("1,000 rows of 20 columns, warm, p50", warm(client, path, thousand, 50), 25))
        met.append(report("1,000 records, warm, p50", warm(client, path, records, 50), None))
        met.append(report("a CSV of 47 MB in a batch, each MB", batched(client, path), None))
        met.append(report("one row, model not loaded, child warm, p50", cold(client, lambda: None), 800))
        no_child = cold(client, lambda: end(keras_processes(host)[1:]))
        met.append(report("one row, no child, fork server warm, p50", no_child, 800))
        nothing = cold(client, lambda: end(keras_processes(host)))
        met.append(report("one row, TensorFlow not imported yet, p50", nothing, None))
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
