"""Speed of the stand-in host, measured on a small app of its own: every figure beside the one it has to reach.

`python dev.py bench host`; uses `wrk` when it is installed, else a load generator of its own."""

import asyncio
import json
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
from azure.storage.blob import BlobServiceClient

ROOT = Path(__file__).parents[1]
AZURITE = ROOT / "azurite/node_modules/azurite/dist/src/azurite.js"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
SECONDS = 4
BLOBS = 20

APP = """
import json
import os
import time

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route("sync")
def sync(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("hello")

@app.route("coroutine")
async def coroutine(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("hello")

@app.route("start/{name}", methods=["POST"])
@app.durable_client_input("client")
async def start(req: func.HttpRequest, client) -> func.HttpResponse:
    instance = await client.start_new(req.route_params["name"], client_input=req.get_json())
    return client.create_check_status_response(req, instance)

@app.activity_trigger("value")
def add_one(value: int) -> int:
    return value + 1

@app.orchestration_trigger("context")
def chain(context: df.DurableOrchestrationContext):
    value = 0
    for _ in range(context.get_input()):
        value = yield context.call_activity("add_one", value)
    return value

@app.orchestration_trigger("context")
def fan_out(context: df.DurableOrchestrationContext):
    results = yield context.task_all([context.call_activity("add_one", i) for i in range(context.get_input())])
    return len(results)

@app.blob_trigger(arg_name="blob", path="uploads/{name}", connection="AzureWebJobsStorage")
def uploaded(blob: func.InputStream) -> None:
    with open(os.environ["RECORD"], "a") as file:
        file.write(json.dumps([blob.name.partition("/")[2], time.time()]) + "\\n")
"""


def report(what: str, measured: float, unit: str, target: float, more_is_better: bool = False) -> bool:
    """Prints a figure, its target and their ratio (above 1: better than asked for)."""
    ratio = measured / target if more_is_better else target / measured
    sign = ">=" if more_is_better else "<="
    print(f"{what:44} {measured:10.2f} {unit:12} target {sign} {target:g}   ratio {ratio:.2f}")
    return ratio >= 1


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@contextmanager
def running_azurite(folder: Path) -> Iterator[str]:
    """A storage emulator in memory; its connection string."""
    ports = {name: free_port() for name in ("blob", "queue", "table")}
    options = [part for name, port in ports.items() for part in (f"--{name}Port", str(port))]
    flags = ["--silent", "--disableTelemetry", "--skipApiVersionCheck", "--inMemoryPersistence"]
    process = subprocess.Popen(["node", AZURITE, *flags, *options], cwd=folder, stdout=subprocess.DEVNULL)
    try:
        for port in ports.values():
            while not accepts(port):
                time.sleep(0.05)
        yield f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={KEY};" + ";".join(
            f"{name.capitalize()}Endpoint=http://127.0.0.1:{port}/devstoreaccount1" for name, port in ports.items()
        )
    finally:
        process.terminate()
        process.wait()


def accepts(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running_host(folder: Path, connection: str) -> Iterator[tuple[str, psutil.Process]]:
    """A host with the app above; its origin and process."""
    app = folder / "app"
    app.mkdir()
    (app / "function_app.py").write_text(APP)
    (app / "host.json").write_text('{"version": "2.0"}')
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "devhost", "--app", app, "--data", folder / "data", "--port", "0"],
        cwd=ROOT,
        env=os.environ | {"AzureWebJobsStorage": connection, "RECORD": str(folder / "record")},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        origin = process.stdout.readline().removeprefix("ready ").strip()
        print(f"{'cold start':44} {time.perf_counter() - begun:10.2f} s")
        yield origin, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


# Bare HTTP


def load(url: str, clients: int) -> tuple[float, float]:
    """Median latency in milliseconds and requests per second of `clients` connections."""
    if shutil.which("wrk"):
        command = ["wrk", "-t1", f"-c{clients}", f"-d{SECONDS}s", "--latency", url]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        median, rate = re.search(r"50%\s+([\d.]+)(us|ms|s)", text), re.search(r"Requests/sec:\s+([\d.]+)", text)
        assert median is not None
        assert rate is not None
        return float(median[1]) * {"us": 0.001, "ms": 1, "s": 1000}[median[2]], float(rate[1])
    return asyncio.run(own_load(url, clients))


class Client(asyncio.Protocol):
    """Sends the same request over one connection, again and again."""

    def __init__(self, request: bytes, latencies: list[float]) -> None:
        self._request = request
        self._latencies = latencies
        self._sent = 0.0
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        # The answers are small: each comes in one piece.
        self._latencies.append(time.perf_counter() - self._sent)
        self._send()


async def own_load(url: str, clients: int) -> tuple[float, float]:
    """The same measurement without wrk; this process then takes more of the machine than wrk would."""
    parts, latencies = urlsplit(url), list[float]()
    host, port = parts.netloc.split(":")
    request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    begun = time.perf_counter()
    made = [await loop.create_connection(lambda: Client(request, latencies), host, int(port)) for _ in range(clients)]
    await asyncio.sleep(SECONDS)
    for transport, _ in made:
        transport.abort()
    return statistics.median(latencies) * 1000, len(latencies) / (time.perf_counter() - begun)


def measure_http(origin: str) -> list[bool]:
    found: list[bool] = []
    for kind in ("sync", "coroutine"):
        median, _ = load(f"{origin}/api/{kind}", 1)
        found.append(report(f"{kind} function, 1 client, p50", median, "ms", 1))
        _, rate = load(f"{origin}/api/{kind}", 32)
        found.append(report(f"{kind} function, 32 clients", rate, "requests/s", 2500, more_is_better=True))
    return found


# Orchestrations


def start(http: httpx.Client, name: str, value: int) -> str:
    return http.post(f"/api/start/{name}", json=value).json()["statusQueryGetUri"]


def finish(http: httpx.Client, url: str) -> None:
    while (status := http.get(url).json())["runtimeStatus"] not in ("Completed", "Failed"):
        time.sleep(0.01)
    assert status["runtimeStatus"] == "Completed", status


def measure_orchestrations(origin: str) -> list[bool]:
    found: list[bool] = []
    with httpx.Client(base_url=origin, timeout=60) as http:
        finish(http, start(http, "chain", 1))
        for name, count, target in (("chain", 10, 10), ("chain", 100, 10), ("chain", 300, 10), ("fan_out", 1000, 10)):
            begun = time.perf_counter()
            finish(http, start(http, name, count))
            each = (time.perf_counter() - begun) * 1000 / count
            found.append(report(f"{name} of {count}, per activity", each, "ms", target))
        begun = time.perf_counter()
        for url in [start(http, "chain", 5) for _ in range(50)]:
            finish(http, url)
        found.append(report("50 chains of 5", time.perf_counter() - begun, "s", 1))
    return found


# Blobs


def measure_blobs(connection: str, record: Path) -> list[bool]:
    """From the end of the upload to the beginning of the function, at random moments of the poll."""
    service = BlobServiceClient.from_connection_string(connection)
    chance, committed = random.Random(1), dict[str, float]()
    for number in range(BLOBS):
        time.sleep(chance.uniform(0, 0.6))
        name = f"{number}.bin"
        service.get_blob_client("uploads", name).upload_blob(b"x" * 1000)
        committed[name] = time.time()
    while len(seen := read_record(record)) < BLOBS:
        time.sleep(0.05)
    delays = [seen[name] - moment for name, moment in committed.items()]
    return [report("blob committed to function called, p50", statistics.median(delays), "s", 0.7)]


def read_record(record: Path) -> dict[str, float]:
    return dict(json.loads(line) for line in record.read_text().splitlines()) if record.exists() else {}


def main() -> int:
    """Prints every figure; 1 when one misses its target."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running_azurite(folder) as connection:
            BlobServiceClient.from_connection_string(connection).create_container("uploads")
            with running_host(folder, connection) as (origin, process):
                found = measure_http(origin) + measure_orchestrations(origin)
                found += measure_blobs(connection, folder / "record")
                processes = [process, *process.children(recursive=True)]
                memory = sum(one.memory_info().rss for one in processes) / 2**20
                print(f"{'memory of host and worker':44} {memory:10.0f} MiB")
    return 0 if all(found) else 1


if __name__ == "__main__":
    sys.exit(main())
