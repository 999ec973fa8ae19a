"""What all tests share: one Azurite in memory, backends on free ports, and proof that nothing is left."""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import psutil
import pytest
from azure.storage.blob import BlobServiceClient
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from azurite.bootstrap import container_names, prepare
from azurite.emulator import Account, Certificate, Emulator
from core.base.settings import Settings
from core.keras_worker.environment import child_environment
from devtools.host import Host
from devtools.installation import installation
from devtools.ports import free_ports
from tests.harness import SIGNING_KEY, TEMPORARY_FOLDER, Backend, Storage, started_within

ROOT = Path(__file__).resolve().parent.parent
ORIGIN = "http://localhost:5173"
# Azurite learns its accounts when it starts; each test that asks for storage takes the next one.
ACCOUNTS = tuple(
    Account(f"test{number:03}", base64.b64encode(f"key of account {number:03}".encode()).decode())
    for number in range(250)
)


def pytest_addoption(parser: pytest.Parser) -> None:
    hosts = ("devhost", "func")
    parser.addoption("--host", choices=hosts, default="devhost", help="what runs the apps of tests/devhost")


@pytest.fixture(scope="session", autouse=True)
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of all a session makes. When everything is torn down, no process of it may be left."""
    folder = tmp_path_factory.mktemp("session")
    with pytest.MonkeyPatch.context() as patch:
        for name in TEMPORARY_FOLDER:
            patch.setenv(name, str(folder))
        yield folder
    # What a SIGKILLed host had started notices a closed pipe; that takes a moment.
    deadline = time.monotonic() + 10
    while (left := started_within(folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    names = [f"{process.pid}: {' '.join(process.cmdline())}" for process in left]
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    assert not names, f"left running by the tests: {names}"


@pytest.fixture(scope="session")
def node() -> Path:
    return installation(ROOT).node.binary


@pytest.fixture(scope="session")
def azurite(node: Path, session_folder: Path) -> Iterator[Emulator]:
    """The Azurite of the session: in memory, on free ports, with many accounts."""
    ports = tuple(free_ports(3))
    emulator = Emulator(node, log=session_folder / "azurite.log", ports=ports, accounts=ACCOUNTS)
    with contextlib.closing(_Started(emulator)):
        yield emulator


@pytest.fixture(scope="session")
def next_account() -> Callable[[], Account]:
    numbers = count()
    return lambda: ACCOUNTS[next(numbers)]


@pytest.fixture(scope="session")
def new_storage(azurite: Emulator, next_account: Callable[[], Account]) -> Callable[[], Storage]:
    """Makes storage accounts that nobody else has, with the app's containers and CORS rules."""

    def make() -> Storage:
        storage = Storage(azurite, next_account())
        with BlobServiceClient.from_connection_string(storage.connection_string) as service:
            prepare(service, container_names(Settings()), [ORIGIN])
        return storage

    return make


@pytest.fixture(scope="session")
def weighted_models(session_folder: Path) -> Path:
    """The folder of models that Keras wrote, with weights: see `tests.weighted_models`."""
    folder = session_folder / "models"
    folder.mkdir()
    command = [sys.executable, "-m", "tests.weighted_models", str(folder)]
    subprocess.run(command, cwd=ROOT, env=child_environment("numpy"), check=True, capture_output=True)
    return folder


@pytest.fixture
def storage(new_storage: Callable[[], Storage]) -> Storage:
    """A storage account for this test alone."""
    return new_storage()


@pytest.fixture
def backend(new_storage: Callable[[], Storage], session_folder: Path) -> Iterator[Callable[..., Backend]]:
    """Starts backends for this test alone: `backend(CHILD_START="spawn", …)` with settings by name.

    A storage account may be given as `storage=`, else each has its own; `options=` are devhost's. They can be
    killed and started again; at the end all are stopped.
    """
    with contextlib.ExitStack() as started:

        def start(storage: Storage | None = None, options: tuple[str, ...] = (), **settings: str) -> Backend:
            made = make_backend(storage or new_storage(), session_folder, settings, options)
            started.callback(made.close)
            made.start()
            return made

        yield start


@pytest.fixture(scope="session")
def shared_backend(new_storage: Callable[[], Storage], session_folder: Path) -> Iterator[Backend]:
    """A backend for all tests that neither kill it nor change its settings."""
    made = make_backend(new_storage(), session_folder, {})
    with contextlib.closing(made):
        made.start()
        yield made


@pytest.fixture(params=["fork", "spawn"] if hasattr(os, "fork") else ["spawn"])
def child_start(request: pytest.FixtureRequest) -> str:
    """How Keras children start: a test that takes this runs once for each way of this system."""
    return request.param


@pytest.fixture(scope="session")
def certificate(session_folder: Path) -> Certificate:
    """A self-signed certificate for 127.0.0.1; clients trust `certificate.chain`."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain, private = session_folder / "certificate.pem", session_folder / "key.pem"
    chain.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return Certificate(chain, private)


@pytest.fixture(scope="session")
def oauth_azurite(node: Path, session_folder: Path, certificate: Certificate) -> Iterator[Emulator]:
    """An Azurite over https that takes bearer tokens, for managed identity and user-delegation SAS."""
    log, ports = session_folder / "oauth-azurite.log", tuple(free_ports(3))
    emulator = Emulator(node, log=log, ports=ports, accounts=ACCOUNTS[:1], certificate=certificate)
    with contextlib.closing(_Started(emulator)):
        yield emulator


class _Started:
    """Starts an emulator and, closed, stops it: also when the start fails half-way."""

    def __init__(self, emulator: Emulator):
        self.close = emulator.stop
        try:
            emulator.start()
        except BaseException:
            self.close()
            raise


def make_backend(
    storage: Storage, session_folder: Path, settings: dict[str, str], options: tuple[str, ...] = ()
) -> Backend:
    [port] = free_ports(1)
    data = session_folder / f"backend-{port}"
    example = ROOT / "local.settings.example.json"
    environment = {
        **os.environ,
        **json.loads(example.read_text("utf-8"))["Values"],
        "AzureWebJobsStorage": storage.connection_string,
        "ASPNET_JWT_KEY": SIGNING_KEY,
        "WORK_DIR": str(data / "work"),
        # One Azurite serves a whole suite on two busy cores; how soon a caller is told is a test of its own.
        "STORAGE_PATIENCE_SECONDS": "10",
        **settings,
    }
    host = Host(
        ROOT,
        python=Path(sys.executable),
        port=port,
        data=data / "host",
        log=data / "host.log",
        environment=environment,
        cors=ORIGIN,
        # What a developer has in local.settings.json is no matter of the tests.
        devhost_options=("--settings", str(example), *options),
    )
    return Backend(host, storage)
