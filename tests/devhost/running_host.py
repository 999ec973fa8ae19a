"""A host process as the tests see it, and the durable app on it, driven through SDK and HTTP only."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

APPS = Path(__file__).parent / "apps"
ROOT = Path(__file__).parents[2]
ENDED = ("Completed", "Failed", "Terminated")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class RunningHost:
    """A host process, what it printed, and an HTTP client for it."""

    def __init__(self, app: Path, data: Path, env: dict[str, str], arguments: list[str], port: int) -> None:
        self.app, self.data = app, data
        self._lines: list[str] = []
        self._errors: list[str] = []
        self._ready = threading.Event()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "devhost", "--app", app, "--data", data, "--port", str(port), *arguments],
            cwd=ROOT,
            env=os.environ | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self._lines), daemon=True),
            threading.Thread(target=self._read, args=(self.process.stderr, self._errors), daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        self.url = ""
        self.http = httpx.Client(timeout=60)

    def _read(self, stream: Any, lines: list[str]) -> None:
        for line in stream:
            lines.append(line.rstrip("\n"))
            if line.startswith("ready "):
                self._ready.set()
        self._ready.set()

    def wait_until_ready(self) -> "RunningHost":
        self._ready.wait(60)
        if not self.stdout:
            self.process.wait(10)
            raise AssertionError(f"the host did not start:\n{self.stderr}")
        self.url = self.stdout[0].removeprefix("ready ")
        self.http.base_url = httpx.URL(self.url)
        return self

    @property
    def stdout(self) -> list[str]:
        return list(self._lines)

    @property
    def stderr(self) -> str:
        return "\n".join(self._errors)

    def wait_for_log(self, text: str, seconds: float = 30) -> None:
        wait_until(lambda: text in self.stderr, seconds)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self._end()

    def kill(self) -> None:
        """SIGKILL."""
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
        self._end()

    def _end(self) -> int:
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        for reader in self._readers:
            reader.join(10)
        self.http.close()
        return code


class CoreToolsHost(RunningHost):
    """The same, run by `func`, in a copy of the app, because settings are read from its folder."""

    def __init__(self, app: Path, data: Path, env: dict[str, str], arguments: list[str], port: int) -> None:
        copy = data / "app"
        shutil.copytree(app, copy, dirs_exist_ok=True)
        self.app, self.data = copy, data
        self._lines, self._errors, self._readers = [], [], []
        port = port or free_port()
        self.process = subprocess.Popen(
            ["func", "start", "--port", str(port), *arguments],
            cwd=copy,
            env=os.environ | {"FUNCTIONS_WORKER_RUNTIME": "python"} | env,
        )
        self.url = f"http://127.0.0.1:{port}"
        self.http = httpx.Client(timeout=60, base_url=self.url)

    def wait_until_ready(self) -> "RunningHost":
        def answers() -> bool:
            try:
                return self.http.get("/").status_code < 500
            except httpx.TransportError:
                return False

        wait_until(answers, 120)
        return self


def accepts(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """The first true value of `condition`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


class Durable:
    """The durable app of a host: starting, reading and managing by the SDK's client and the public API."""

    def __init__(self, host: RunningHost) -> None:
        self.host = host
        self.http = host.http

    def start(self, name: str, value: Any = None, **query: str) -> dict[str, str]:
        """Starts an instance; returns the management links."""
        content = None if value is None else json.dumps(value)
        response = self.http.post(f"/api/start/{name}", content=content, params=query)
        assert response.status_code == 202, response.text
        return response.json()

    def status(self, links: dict[str, str], **query: str) -> dict[str, Any]:
        url = httpx.URL(links["statusQueryGetUri"]).copy_merge_params(query)
        return self.http.get(url).json()

    def wait(self, links: dict[str, str], *statuses: str) -> dict[str, Any]:
        """The status object once the instance is in one of the statuses (default: has ended)."""

        def reached() -> dict[str, Any] | None:
            status = self.status(links)
            return status if status["runtimeStatus"] in (statuses or ENDED) else None

        return wait_until(reached)

    def output(self, name: str, value: Any = None) -> Any:
        """Runs an orchestration to its end, which must be a good one."""
        status = self.wait(self.start(name, value))
        assert status["runtimeStatus"] == "Completed", status
        return status["output"]

    def client(self, method: str, **arguments: Any) -> Any:
        """Calls a method of the SDK's client inside the app."""
        response = self.http.post(f"/api/client/{method}", json=arguments)
        assert response.status_code == 200, response.text
        return response.json()

    def raise_event(self, links: dict[str, str], name: str, value: Any) -> httpx.Response:
        return self.http.post(links["sendEventPostUri"].replace("{eventName}", name), json=value)
