"""Storage that is away: every route says so soon, and all is as it was when storage is back."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

import function_app
from azurite.emulator import Account
from core.base.api import ANY, Operation
from core.base.description import JSON
from core.base.settings import Settings
from tests.conftest import make_backend
from tests.faults.black_hole import black_hole
from tests.faults.conftest import azurite_on_disk
from tests.harness import Backend, Storage, classifier, presign, two_classes, wait_until
from tests.unit.importing.corpus import dense, sequential

GRAPHS = "/api/network/graphs/"
# What answers without storage: the catalogues, what is computed from the request alone, the document.
WITHOUT_STORAGE = {
    "api/network/graphs/compile",
    "api/network/graphs/export-script",
    "api/network/graphs/import-model",
    "api/openapi.json",
    "api/docs",
    "{*path}",
}
CATALOGUES = ("layers", "optimizers", "losses", "metrics", "activations")
# The promise is two seconds; the rest is for a machine that is busy with other tests.
PATIENCE = httpx.Timeout(20)


def needs_storage(operation: Operation) -> bool:
    kind = operation.path.removeprefix("api/network/").split("/")[0]
    return operation.path not in WITHOUT_STORAGE and kind not in CATALOGUES and operation.method != ANY


OPERATIONS = [
    operation for routes in function_app.ROUTES for operation in routes.operations if needs_storage(operation)
]


def ask(client: httpx.Client, operation: Operation) -> httpx.Response:
    path = "/".join(str(uuid.uuid4()) if part.startswith("{") else part for part in operation.path.split("/"))
    reads = operation.description.reads if operation.description else {}
    if JSON in reads:
        # The document's example of a model has no layer.
        body = sequential(dense()) if path.endswith("import-keras-json") else reads[JSON].example
        return client.request(operation.method, f"/{path}/", json=body, timeout=PATIENCE)
    name = "table.csv" if path.endswith("train") else "model.keras"
    files = {"file": (name, two_classes())} if reads else None
    return client.request(operation.method, f"/{path}/", files=files, timeout=PATIENCE)


@contextlib.contextmanager
def refusing(storage: Storage) -> Iterator[None]:
    """Nothing listens where storage was."""
    storage.emulator.stop()
    try:
        yield
    finally:
        storage.emulator.start()


@contextlib.contextmanager
def silent(storage: Storage) -> Iterator[None]:
    """What listens where storage was never answers."""
    storage.emulator.stop()
    try:
        with black_hole(*storage.emulator.ports):
            yield
    finally:
        storage.emulator.start()


@pytest.fixture(scope="module")
def served(node: Path, session_folder: Path, next_account: Callable[[], Account]) -> Iterator[Backend]:
    """A backend on a storage that the tests stop, and start again."""
    with azurite_on_disk(node, session_folder, next_account) as storage:
        made = make_backend(
            storage, session_folder, {"STORAGE_PATIENCE_SECONDS": str(Settings().storage_patience_seconds)}
        )
        with contextlib.closing(made):
            made.start()
            yield made


@pytest.mark.parametrize("outage", [refusing, silent])
def test_every_route_is_a_503_soon_while_storage_is_away_and_works_when_it_is_back(
    outage: Callable[[Storage], contextlib.AbstractContextManager[None]], served: Backend
) -> None:
    client = served.client(admin=True)
    job = presign(client)["job_id"]
    with outage(served.storage):
        wait_until(lambda: client.get("/health/").status_code == 503, "health, which remembers for two seconds")
        with ThreadPoolExecutor(20) as threads:
            answers = list(threads.map(lambda operation: (operation, ask(client, operation)), OPERATIONS))
        slowest = max((answer for _, answer in answers), key=lambda answer: answer.elapsed)
        print(f"{len(answers)} routes, the slowest after {slowest.elapsed}: {slowest.request.url.path}")
        for operation, answer in answers:
            assert answer.status_code == 503, (operation.method, operation.path, answer.text)
            assert int(answer.headers["retry-after"]) > 0, (operation.method, operation.path)
        assert client.get("/api/network/layers/").status_code == 200
        assert client.post(f"{GRAPHS}compile/", json=classifier()).status_code == 200
    assert client.get(f"/api/network/training-jobs/{job}/").status_code == 200
    wait_until(lambda: client.get("/health/").status_code == 200, "health again")


def test_no_acknowledged_write_is_lost_when_storage_stops_and_comes_back(served: Backend) -> None:
    acknowledged: dict[str, str] = {}
    statuses: Counter[int] = Counter()
    finished = threading.Event()

    def write(writer: int) -> None:
        client = served.client()
        mine = ""
        for number in itertools.count():
            if finished.is_set():
                return
            name = f"{writer}-{number}"
            if number % 3 and mine:
                answer = client.patch(f"{GRAPHS}{mine}/", json={"name": name}, timeout=PATIENCE)
            else:
                answer = client.post(GRAPHS, json={**classifier(), "name": name}, timeout=PATIENCE)
            statuses[answer.status_code] += 1
            if answer.is_success:
                mine = answer.json()["id"]
                acknowledged[mine] = name
            elif answer.status_code == 503:
                # Whether this write was made is not known; the graph may have either name.
                acknowledged.pop(mine, None)
                mine = ""
                time.sleep(0.1)

    with ThreadPoolExecutor(4) as threads:
        writers = [threads.submit(write, number) for number in range(4)]
        try:
            for _ in range(2):
                written, refused = statuses[201], statuses[503]
                wait_until(lambda made=written: statuses[201] > made + 20, "acknowledged writes")
                served.storage.emulator.stop()
                wait_until(lambda told=refused: statuses[503] > told, "a refused write")
                served.storage.emulator.start()
        finally:
            finished.set()
        for writer in writers:
            writer.result()
    assert statuses.keys() == {200, 201, 503}
    client = served.client()
    kept = {graph["id"]: graph["name"] for graph in client.get(GRAPHS).json()}
    assert acknowledged.items() <= kept.items()
