"""Compiling graphs over HTTP against building the same models with Keras on TensorFlow, in one run.

`python dev.py bench compile`: every figure beside its target; ends 1 if one is missed.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import psutil

from azurite.emulator import Account, Emulator
from devtools.bearer import bearer_token
from devtools.host import Host
from devtools.installation import installation
from devtools.ports import free_ports

ROOT = Path(__file__).parents[1]
KEY = "bench-signs-its-tokens-with-this-key-0123456789"
ACCOUNT = Account("bench", "YmVuY2gga2V5IG9mIHRoZSBhY2NvdW50")
ROUNDS = 25
CONCURRENT = 16


def chain(layers: int, units: int) -> dict[str, Any]:
    """An Input and Dense layers in a row, `layers` in all; other units make another graph."""
    nodes: list[dict[str, Any]] = [{"id": "n0", "type": "Input", "params": {"shape": "(64,)"}}]
    nodes += [
        {"id": f"n{number}", "type": "Dense", "params": {"units": str(units), "activation": "'relu'"}}
        for number in range(1, layers)
    ]
    edges = [{"id": f"e{number}", "source": f"n{number - 1}", "target": f"n{number}"} for number in range(1, layers)]
    return {"nodes": nodes, "edges": edges}


def on_tensorflow() -> None:
    """Prints the median milliseconds of building the same chains with Keras on TensorFlow."""
    import keras

    def build(layers: int) -> None:
        tensor = inputs = keras.Input((64,))
        for _ in range(layers - 1):
            tensor = keras.layers.Dense(64, activation="relu")(tensor)
        keras.Model(inputs, tensor)

    print(json.dumps({str(layers): median(lambda n=layers: build(n), 7) for layers in (10, 200)}))


def median(work: Callable[[], Any], rounds: int = ROUNDS) -> float:
    """Milliseconds, after one round that does not count."""
    work()
    times: list[float] = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


@contextlib.contextmanager
def served() -> Iterator[tuple[httpx.Client, Host]]:
    """The app on the host that is here, with storage in memory."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        data = Path(folder)
        tools = installation(ROOT)
        emulator = Emulator(
            tools.node.binary, log=data / "azurite.log", ports=tuple(free_ports(3)), accounts=(ACCOUNT,)
        )
        stack.callback(emulator.stop)
        emulator.start()
        example = ROOT / "local.settings.example.json"
        environment = {
            **os.environ,
            **json.loads(example.read_text("utf-8"))["Values"],
            "AzureWebJobsStorage": emulator.connection_string(ACCOUNT),
            "ASPNET_JWT_KEY": KEY,
        }
        [port] = free_ports(1)
        host = Host(ROOT, python=Path(sys.executable), port=port, data=data / "host", log=data / "host.log",
                    environment=environment, devhost_options=("--settings", str(example)))  # fmt: skip
        stack.callback(host.stop)
        host.start()
        headers = {"Authorization": f"Bearer {bearer_token(KEY, user='bench', admin=False, now=int(time.time()))}"}
        client = stack.enter_context(httpx.Client(base_url=host.url, headers=headers, timeout=60, trust_env=False))
        yield client, host


def compile_once(client: httpx.Client, graph: dict[str, Any]) -> dict[str, Any]:
    answer = client.post("/api/network/graphs/compile/", json=graph)
    answer.raise_for_status()
    return answer.json()


def largest_child(host: Host) -> int:
    """Memory of the largest process below the host that compiles, bytes."""
    children = psutil.Process(host.pid).children(recursive=True)
    compiling = [child for child in children if "numpy" in child.cmdline()]
    return max(child.memory_info().rss for child in compiling)


def starved(client: httpx.Client, units: Iterator[int]) -> float:
    """p95 in milliseconds of reading a small catalogue while 16 callers compile all the time."""
    done = threading.Event()

    def keep_compiling() -> None:
        while not done.is_set():
            compile_once(client, chain(50, next(units)))

    threads = [threading.Thread(target=keep_compiling) for _ in range(CONCURRENT)]
    for thread in threads:
        thread.start()
    times: list[float] = []
    for _ in range(60):
        started = time.perf_counter()
        client.get("/api/network/activations/specs/").raise_for_status()
        times.append((time.perf_counter() - started) * 1000)
        time.sleep(0.02)
    done.set()
    for thread in threads:
        thread.join()
    return sorted(times)[int(len(times) * 0.95)]


def report(what: str, measured: float, target: float, unit: str = "ms", beside: float | None = None) -> bool:
    """One line, and whether the target is met."""
    ratio = f"  {beside / measured:5.1f} x as fast as TensorFlow ({beside:.0f} {unit})" if beside else ""
    met = measured <= target
    print(f"{'ok  ' if met else 'MISS'} {what:<52} {measured:8.1f} {unit} (target {target:g}){ratio}")
    return met


def main() -> int:
    real = json.loads(
        subprocess.run(
            [sys.executable, "-m", "bench.compile", "tensorflow"],
            cwd=ROOT, check=True, capture_output=True, text=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        ).stdout.splitlines()[-1]
    )  # fmt: skip
    met: list[bool] = []
    units = count(100)
    with served() as (client, host):
        compile_once(client, chain(10, next(units)))
        for layers, target in ((10, 15), (200, 150)):
            took = median(lambda n=layers: compile_once(client, chain(n, next(units))))
            met.append(report(f"compile {layers} layers, p50", took, target, beside=real[str(layers)]))
        for layers in (10, 200):
            same = chain(layers, 7)
            met.append(
                report(f"the same {layers} layers again, p50", median(lambda g=same: compile_once(client, g)), 3)
            )
        before = largest_child(host)
        wide = lambda: compile_once(client, chain(7, 80_000 + next(units)))  # noqa: E731
        assert wide()["parameter_count"] > 30_000_000_000
        met.append(report("30 billion parameters, p50", median(wide), 100))
        met.append(report("memory that those take", max(largest_child(host) - before, 0) / 2**20, 20, "MiB"))
        met.append(report("GET layers/, p50", median(lambda: client.get("/api/network/layers/").raise_for_status()), 5))
        alone = median(lambda: client.get("/api/network/activations/specs/").raise_for_status())
        met.append(report(f"another request during {CONCURRENT} compiles, p95", starved(client, units), alone + 100))
    return 0 if all(met) else 1


if __name__ == "__main__":
    if sys.argv[1:] == ["tensorflow"]:
        on_tensorflow()
    else:
        sys.exit(main())
