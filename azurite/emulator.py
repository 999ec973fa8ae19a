"""Azurite as a process: started on loopback with the flags that current SDKs need, and stopped.

Standard library only. Node runs Azurite's script directly: no wrapper stands between a signal and it.
"""

from __future__ import annotations

import os
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from devtools import Failure
from devtools.ports import free_ports, is_free
from devtools.processes import Tie, kill_tied, start_tied, stop_tied

SCRIPT = Path(__file__).with_name("node_modules") / "azurite" / "dist" / "src" / "azurite.js"
USUAL_PORTS = (10000, 10001, 10002)
SERVICES = ("blob", "queue", "table")
READY_SECONDS = 60.0
# Between choosing free ports and Azurite's bind somebody else may take one.
TRIES = 3


@dataclass(frozen=True)
class Account:
    name: str
    key: str


# The account that every storage emulator has; name and key are public constants.
DEVELOPMENT_ACCOUNT = Account(
    "devstoreaccount1",
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
)


@dataclass(frozen=True)
class Certificate:
    """PEM files that make Azurite serve https and accept bearer tokens (`--oauth basic`)."""

    chain: Path
    key: Path


class Emulator:
    """One Azurite: blob, queue and table service on three loopback ports.

    `location` is the folder of its files; without one everything is kept in memory. When one of `ports`
    is taken at the first start, free ones are used instead. With `accounts` exactly these exist, each with
    its own containers, tables and CORS rules; without, the development account does.
    """

    def __init__(
        self,
        node: Path,
        *,
        log: Path,
        location: Path | None = None,
        ports: tuple[int, ...] = USUAL_PORTS,
        accounts: tuple[Account, ...] = (),
        certificate: Certificate | None = None,
    ):
        self._node = node
        self._log = log
        self._location = location
        self._accounts = accounts
        self._certificate = certificate
        self._tie: Tie | None = None
        self._ports_are_final = False
        self.ports = ports

    def start(self) -> None:
        """Start and wait until all three services answer. After `stop` or `kill` it keeps its ports."""
        for _ in range(TRIES):
            if not self._ports_are_final and not all(map(is_free, self.ports)):
                self.ports = tuple(free_ports(len(SERVICES)))
            self._tie = self._start_process()
            if self._answers_before_it_ends(self._tie):
                self._ports_are_final = True
                return
            self.stop()
        words = self._log.read_text("utf-8", "replace").strip().splitlines()
        raise Failure(
            f"Azurite did not start ({words[-1] if words else 'it said nothing'}); "
            f"see {self._log}, or delete azurite/node_modules to install it anew."
        )

    def stop(self) -> None:
        """SIGTERM: Azurite saves its metadata and ends."""
        if self._tie:
            stop_tied(self._tie)
            self._tie = None

    def kill(self) -> None:
        """SIGKILL: what Azurite was told in the last five seconds may be lost."""
        if self._tie:
            kill_tied(self._tie)
            self.stop()

    def endpoint(self, service: str, account: Account = DEVELOPMENT_ACCOUNT) -> str:
        """The URL of one of the account's services: blob, queue or table."""
        scheme = "https" if self._certificate else "http"
        return f"{scheme}://127.0.0.1:{self.ports[SERVICES.index(service)]}/{account.name}"

    def connection_string(self, account: Account = DEVELOPMENT_ACCOUNT) -> str:
        scheme = "https" if self._certificate else "http"
        parts = [
            f"DefaultEndpointsProtocol={scheme}",
            f"AccountName={account.name}",
            f"AccountKey={account.key}",
            *(f"{service.title()}Endpoint={self.endpoint(service, account)}" for service in SERVICES),
        ]
        return ";".join(parts) + ";"

    def _start_process(self) -> Tie:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        env = dict(os.environ)
        env.pop("AZURITE_ACCOUNTS", None)
        if self._accounts:
            env["AZURITE_ACCOUNTS"] = ";".join(f"{each.name}:{each.key}" for each in self._accounts)
        with self._log.open("wb") as output:
            return start_tied(self._command(), cwd=self._log.parent, env=env, output=output)

    def _command(self) -> list[str]:
        # Without --skipApiVersionCheck the current blob SDK is refused: its API version is newer.
        command = [str(self._node), str(SCRIPT), "--silent", "--disableTelemetry", "--skipApiVersionCheck"]
        for service, port in zip(SERVICES, self.ports, strict=True):
            command += [f"--{service}Host", "127.0.0.1", f"--{service}Port", str(port)]
        if self._location:
            self._location.mkdir(parents=True, exist_ok=True)
            command += ["--location", str(self._location)]
        else:
            command += ["--inMemoryPersistence"]
        if self._certificate:
            chain, key = str(self._certificate.chain), str(self._certificate.key)
            command += ["--oauth", "basic", "--cert", chain, "--key", key]
        return command

    def _answers_before_it_ends(self, tie: Tie) -> bool:
        deadline = time.monotonic() + READY_SECONDS
        waiting = list(SERVICES)
        while waiting and time.monotonic() < deadline and tie.process.poll() is None:
            waiting = [service for service in waiting if not _answers(self.endpoint(service))]
            if waiting:
                time.sleep(0.05)
        # Azurite whose port is taken ends; whoever took it may have answered in its place.
        return not waiting and tie.process.poll() is None


def _answers(url: str) -> bool:
    # Only to see that something speaks HTTP: the answer is a refusal, the certificate self-signed.
    trusting = ssl._create_unverified_context() if url.startswith("https") else None
    try:
        urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusting)
        ).open(url, timeout=5).close()
    except urllib.error.HTTPError as refusal:
        refusal.close()
        return True
    except OSError:
        return False
    return True
