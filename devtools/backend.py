"""One local backend: Azurite, its bootstrap and the Functions host, on one data folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from azurite.emulator import USUAL_PORTS, Emulator
from devtools import Failure
from devtools.host import Host
from devtools.installation import Installation
from devtools.local_settings import local_settings, missing_values, setting
from devtools.locks import locked
from devtools.processes import run_tied

STORAGE = "AzureWebJobsStorage"
EMULATED = ("", "UseDevelopmentStorage=true")
FRONT_END_PORTS = (3000, 4173, 4200, 5173, 8000, 8080)


def default_origins() -> str:
    """The usual local ports of front ends; a browser takes localhost and 127.0.0.1 for two origins."""
    names = ("localhost", "127.0.0.1")
    return ",".join(f"http://{name}:{port}" for port in FRONT_END_PORTS for name in names)


@contextlib.contextmanager
def running_backend(
    root: Path,
    installed: Installation,
    *,
    port: int,
    data: Path,
    host_kind: str,
    cors: str,
    storage_ports: tuple[int, ...] = USUAL_PORTS,
    own_storage: bool = False,
) -> Iterator[Host]:
    """The host, serving, with its storage; both are stopped at the end, the host first.

    Settings are those of local.settings.json, and the environment wins over them. A storage account named
    there is used instead of Azurite, unless `own_storage` asks for one that nobody else has.
    """
    environment = {**missing_values(root), **os.environ}
    settings = local_settings(root)
    environment.setdefault("WORK_DIR", str(data / "work"))
    in_use = f"The data folder {data} is in use by another backend; choose another with --data."
    with contextlib.ExitStack() as running, locked(data / "lock", if_taken=in_use):
        if own_storage or setting(settings, STORAGE, environment) in EMULATED:
            emulator = Emulator(
                installed.node.binary,
                location=data / "azurite",
                log=data / "azurite.log",
                ports=storage_ports,
            )
            running.callback(emulator.stop)
            emulator.start()
            environment[STORAGE] = emulator.connection_string()
            _bootstrap(root, installed.python, cors=cors, environment=environment, log=data / "bootstrap.log")
        host = Host(
            root,
            python=installed.python,
            port=port,
            data=data / "host",
            log=data / "host.log",
            environment=environment,
            kind=host_kind,
            cors=cors,
        )
        running.callback(host.stop)
        host.start()
        yield host


def _bootstrap(root: Path, python: Path, *, cors: str, environment: dict[str, str], log: Path) -> None:
    command = [str(python), "-m", "azurite.bootstrap", "--cors", cors]
    with log.open("wb") as output:
        code = run_tied(command, cwd=root, env=environment, output=output)
    if code != 0:
        raise Failure(f"The storage containers could not be made; see {log}, or delete {log.parent}.")
