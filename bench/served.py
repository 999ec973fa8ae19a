"""The app on the host that is here, with storage in memory, for measurements over HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
from azure.storage.blob import BlobServiceClient

from azurite.bootstrap import container_names, prepare
from azurite.emulator import SERVICES, Account, Emulator
from bench.storage_calls import counting
from core.base.settings import Settings
from devtools.bearer import bearer_token
from devtools.host import Host
from devtools.installation import installation
from devtools.ports import free_ports

ROOT = Path(__file__).parents[1]
KEY = "bench-signs-its-tokens-with-this-key-0123456789"
ACCOUNT = Account("bench", "YmVuY2gga2V5IG9mIHRoZSBhY2NvdW50")


@contextlib.contextmanager
def served(calls: Counter[str] | None = None) -> Iterator[tuple[httpx.Client, Host]]:
    """A client with a token, and the host it talks to; both and the storage end with the block.

    The app's calls of storage are counted in `calls`, by method, where one is given.
    """
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        data = Path(folder)
        node = installation(ROOT).node.binary
        emulator = Emulator(node, log=data / "azurite.log", ports=tuple(free_ports(3)), accounts=(ACCOUNT,))
        stack.callback(emulator.stop)
        emulator.start()
        storage = emulator.connection_string(ACCOUNT)
        with BlobServiceClient.from_connection_string(storage) as service:
            prepare(service, container_names(Settings()), [])
        if calls is not None:
            relays = free_ports(len(SERVICES))
            for relay, port in zip(relays, emulator.ports, strict=True):
                storage = storage.replace(f":{port}/", f":{relay}/")
            stack.enter_context(counting(dict(zip(relays, emulator.ports, strict=True)), calls))
        example = ROOT / "local.settings.example.json"
        environment = {
            **os.environ,
            **json.loads(example.read_text("utf-8"))["Values"],
            "AzureWebJobsStorage": storage,
            "ASPNET_JWT_KEY": KEY,
            "WORK_DIR": str(data / "work"),
        }
        [port] = free_ports(1)
        host = Host(
            ROOT,
            python=Path(sys.executable),
            port=port,
            data=data / "host",
            log=data / "host.log",
            environment=environment,
            devhost_options=("--settings", str(example)),
        )
        stack.callback(host.stop)
        host.start()
        headers = {"Authorization": f"Bearer {bearer_token(KEY, user='bench', admin=False, now=int(time.time()))}"}
        client = stack.enter_context(httpx.Client(base_url=host.url, headers=headers, timeout=60, trust_env=False))
        yield client, host
