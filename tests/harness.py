"""What tests drive the real thing with: tokens, tables, graphs, and a look at which processes are left."""

from __future__ import annotations

import csv
import io
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
from azure.storage.blob import ContainerClient

from azurite.emulator import Account, Emulator
from core.base.settings import Settings
from devtools.bearer import bearer_token
from devtools.host import Host
from tests import documented

SIGNING_KEY = "tests-sign-their-tokens-with-this-key-0123456789"
# By these a session gives its temporary folder to all it starts, also across the environments that the app
# makes for its children. That is how `started_within` knows them.
TEMPORARY_FOLDER = ("TMPDIR", "TEMP", "TMP")
ENDED = ("succeeded", "failed", "cancelled")


Value = TypeVar("Value")


class Backend:
    """The app on a real host and a storage account of its own; it can be killed and started again."""

    def __init__(self, host: Host, storage: Storage):
        self._host = host
        self._clients: list[httpx.Client] = []
        self.storage = storage
        self.url = host.url

    @property
    def pid(self) -> int:
        return self._host.pid

    @property
    def log(self) -> str:
        """All the host has printed since it was last started."""
        return self._host.log.read_text("utf-8", "replace")

    def start(self) -> None:
        """Serve (again), on the same port and data."""
        self._host.start()

    def kill(self) -> None:
        """SIGKILL, as in a crash."""
        self._host.kill()

    def stop(self) -> None:
        self._host.stop()

    def client(self, user: str = "ada", *, admin: bool = False, token: str | None = None) -> httpx.Client:
        """An HTTP client as that user, which holds every answer against the document; `token=""` sends none."""
        token = bearer(user, admin=admin) if token is None else token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        hooks = {"response": [documented.check]}
        client = httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False, event_hooks=hooks)
        self._clients.append(client)
        return client

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self.stop()


class Storage:
    """One account of a running Azurite, with the app's containers in it."""

    def __init__(self, emulator: Emulator, account: Account):
        self.emulator = emulator
        self.account = account
        self.connection_string = emulator.connection_string(account)

    def settings(self) -> Settings:
        """The app's settings that lead to this account."""
        return Settings.model_validate({"AzureWebJobsStorage": self.connection_string})

    def uploads(self) -> ContainerClient:
        """The container that browsers upload to."""
        return self.container(Settings().uploads_container)

    def container(self, name: str) -> ContainerClient:
        return ContainerClient.from_connection_string(self.connection_string, name)

    def endpoint(self, service: str) -> str:
        """The URL of the blob, queue or table service of the account."""
        return self.emulator.endpoint(service, self.account)


def bearer(user: str = "ada", *, admin: bool = False, key: str = SIGNING_KEY, now: int | None = None) -> str:
    """A token as the issuing service writes it; `now` moves the two hours of its life."""
    return bearer_token(key, user=user, admin=admin, now=int(time.time()) if now is None else now)


def csv_bytes(header: Sequence[str], rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue().encode()


def two_classes(rows: int = 60, *, seed: int = 7) -> bytes:
    """A CSV with the columns a, b, label (0 or 1): two clouds that a small network tells apart."""
    rng = random.Random(seed)
    table = []
    for number in range(rows):
        label = number % 2
        table.append([round(rng.gauss(2 * label - 1, 0.5), 4), round(rng.gauss(1 - 2 * label, 0.5), 4), label])
    return csv_bytes(["a", "b", "label"], table)


def straight_line(rows: int = 60, *, seed: int = 7) -> bytes:
    """A CSV with the columns x, y: y = 3x - 1 and a little noise."""
    rng = random.Random(seed)
    xs = [rng.uniform(-1, 1) for _ in range(rows)]
    return csv_bytes(["x", "y"], [[round(x, 4), round(3 * x - 1 + rng.gauss(0, 0.05), 4)] for x in xs])


def chain(*layers: tuple[str, Mapping[str, Any]], name: str = "chain") -> dict[str, Any]:
    """A graph of layers in a row, as the canvas would send it."""
    nodes = [
        {
            "id": f"n{i}",
            "type": kind,
            "label": kind,
            "params": dict(params),
            "position": {"x": 0, "y": 100 * i},
        }
        for i, (kind, params) in enumerate(layers)
    ]
    edges = [{"id": f"e{i}", "source": f"n{i}", "target": f"n{i + 1}"} for i in range(len(layers) - 1)]
    return {"name": name, "nodes": nodes, "edges": edges}


def classifier(features: int = 2, *, units: int = 4) -> dict[str, Any]:
    """A small network with one sigmoid output."""
    return chain(
        ("Input", {"shape": f"({features},)"}),
        ("Dense", {"units": units, "activation": "relu"}),
        ("Dense", {"units": 1, "activation": "sigmoid"}),
        name="classifier",
    )


def two_class_training(**changes: Any) -> dict[str, Any]:
    """Training parameters that fit `two_classes` and `classifier`."""
    return {
        "x_columns": ["a", "b"],
        "y_column": "label",
        "optimizer": "adam",
        "loss": "binary_crossentropy",
        "metrics": ["accuracy"],
        "epochs": 3,
        "batch_size": 10,
        "test_split": 0.2,
        "validation_split": 0.2,
        **changes,
    }


def presign(client: httpx.Client, graph: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A graph and a queued job on it: the answer of presign-upload."""
    made = client.post("/api/network/graphs/", json=graph or classifier())
    assert made.status_code == 201, made.text
    path = f"/api/network/graphs/{made.json()['id']}/presign-upload/"
    answer = client.post(path, json=two_class_training(**changes))
    assert answer.status_code == 201, answer.text
    return answer.json()


def upload(signed: Mapping[str, Any], content: bytes) -> httpx.Response:
    """PUT a file to its SAS URL, as a browser would."""
    headers = {**signed["headers"], "Content-Type": "text/csv"}
    return httpx.put(signed["upload_url"], content=content, headers=headers, trust_env=False)


def wait_until(found: Callable[[], Value | None], what: str, *, seconds: float = 120.0) -> Value:
    """Poll until `found` answers something true, and answer that."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.1)
    return value


def wait_for_end(client: httpx.Client, job_id: str, *, seconds: float = 150.0) -> dict[str, Any]:
    """The job once it has ended, whatever its end."""

    def ended() -> dict[str, Any] | None:
        answer = client.get(f"/api/network/training-jobs/{job_id}/")
        answer.raise_for_status()
        job = answer.json()
        return job if job["status"] in ENDED else None

    return wait_until(ended, f"the end of job {job_id}", seconds=seconds)


def started_within(folder: Path) -> list[psutil.Process]:
    """Running processes, wherever they hang in the tree, whose temporary folder is in `folder`."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            running = process.status() != psutil.STATUS_ZOMBIE
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            continue
        places = (environment.get(name, "") for name in TEMPORARY_FOLDER)
        if (
            process.pid != os.getpid()
            and running
            and any(Path(place).is_relative_to(folder) for place in places if place)
        ):
            found.append(process)
    return found


def is_running(pid: int) -> bool:
    """Whether the process exists and is more than an exit code that nobody has asked for."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
