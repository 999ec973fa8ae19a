"""A running host and a running Azurite for the tests of this folder.

`--host func` runs the same tests against Core Tools; those marked `devhost_only` are left out then."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.devhost.running_host import (
    APPS,
    ROOT,
    CoreToolsHost,
    Durable,
    RunningHost,
    accepts,
    free_port,
    wait_until,
)

AZURITE = ROOT / "azurite/node_modules/azurite/dist/src/azurite.js"
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "devhost_only: about devhost itself, not about what every host does")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--host") == "func":
        left_out = [item for item in items if item.get_closest_marker("devhost_only")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


StartHost = Callable[..., RunningHost]


def _starter(request: pytest.FixtureRequest, new_folder: Callable[[], Path]) -> Iterator[StartHost]:
    is_core_tools = request.config.getoption("--host") == "func"
    # Core Tools keep orchestrations in a storage account.
    shared = {"AzureWebJobsStorage": request.getfixturevalue("azurite")} if is_core_tools else {}
    kind = CoreToolsHost if is_core_tools else RunningHost
    hosts: list[RunningHost] = []

    def start(
        app: str | Path,
        *arguments: str,
        data: Path | None = None,
        env: dict[str, str] | None = None,
        port: int = 0,
    ) -> RunningHost:
        folder = APPS / app if isinstance(app, str) else app
        host = kind(folder, data or new_folder(), shared | (env or {}), list(arguments), port)
        hosts.append(host)
        return host.wait_until_ready()

    yield start
    for host in hosts:
        host.stop()


@pytest.fixture
def start_host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StartHost]:
    """Starts hosts for one test."""
    yield from _starter(request, lambda: tmp_path / "data")


@pytest.fixture(scope="session")
def start_shared_host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartHost]:
    """Starts hosts that several tests use."""
    yield from _starter(request, lambda: tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def durable(start_shared_host: StartHost) -> Durable:
    """The app of orchestrators, on a host of its own."""
    return Durable(start_shared_host("durable"))


@pytest.fixture(scope="session")
def azurite(node: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A connection string of a fresh storage emulator."""
    blob, queue, table = free_port(), free_port(), free_port()
    process = subprocess.Popen(
        [
            *(node, AZURITE, "--silent", "--disableTelemetry", "--skipApiVersionCheck"),
            *(
                "--inMemoryPersistence",
                "--blobPort",
                str(blob),
                "--queuePort",
                str(queue),
                "--tablePort",
                str(table),
            ),
        ],
        cwd=tmp_path_factory.mktemp("azurite"),
    )
    try:
        for port in (blob, queue, table):
            wait_until(lambda port=port: accepts(port), 60)
        base = "http://127.0.0.1"
        yield (
            f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={_KEY};"
            f"BlobEndpoint={base}:{blob}/devstoreaccount1;QueueEndpoint={base}:{queue}/devstoreaccount1;"
            f"TableEndpoint={base}:{table}/devstoreaccount1;"
        )
    finally:
        process.terminate()
        process.wait(20)
