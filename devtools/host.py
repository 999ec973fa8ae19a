"""The Functions host of a local run: Core Tools where they are installed, else the stand-in `devhost/`."""

from __future__ import annotations

import json
import os
import shutil
import time
import urllib.request
from pathlib import Path

from devtools import Failure
from devtools.processes import Tie, kill_tied, start_tied, stop_tied

READY_SECONDS = 120.0
KINDS = ("auto", "func", "devhost")


class Host:
    """The app in `root`, served on 127.0.0.1:`port`.

    `data` is the folder of the host's own state, `log` the file of all it prints, `environment` what the
    app finds in its environment. It can be killed and started again on the same data.
    """

    def __init__(
        self,
        root: Path,
        *,
        python: Path,
        port: int,
        data: Path,
        log: Path,
        environment: dict[str, str],
        kind: str = "devhost",
        cors: str = "",
        devhost_options: tuple[str, ...] = (),
    ):
        self._root = root
        self._python = python
        self._kind = ("func" if shutil.which("func") else "devhost") if kind == "auto" else kind
        self._data = data
        self._cors = cors
        self._devhost_options = devhost_options
        self._environment = environment
        self._tie: Tie | None = None
        self.port = port
        self.log = log
        self.url = f"http://127.0.0.1:{port}"

    def start(self) -> None:
        """Start and wait until requests are served."""
        # After a kill: what has not noticed it until now is ended.
        self.stop()
        self._data.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        command = self._func_command() if self._kind == "func" else self._devhost_command()
        with self.log.open("wb") as output:
            self._tie = start_tied(command, cwd=self._root, env=self._process_environment(), output=output)
        deadline = time.monotonic() + READY_SECONDS
        while not self._serves():
            if not self.is_running():
                raise Failure(f"The Functions host could not start: {self.last_words()}")
            if time.monotonic() > deadline:
                raise Failure(f"The Functions host was not ready in {READY_SECONDS:.0f} s: {self.last_words()}")
            time.sleep(0.05)

    @property
    def pid(self) -> int:
        """The process id of the host, while it runs."""
        assert self._tie is not None, "the host is not started"
        return self._tie.process.pid

    def is_running(self) -> bool:
        return self._tie is not None and self._tie.process.poll() is None

    def stop(self) -> None:
        """SIGTERM, then the end of all that is left of it."""
        if self._tie:
            stop_tied(self._tie)
            self._tie = None

    def kill(self) -> None:
        """SIGKILL to the host alone, as in a crash: what it had started must notice by itself."""
        if self._tie:
            kill_tied(self._tie)

    def last_words(self) -> str:
        """The last line that the host has printed."""
        lines = self.log.read_text("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def _devhost_command(self) -> list[str]:
        command = [str(self._python), "-m", "devhost", "--app", str(self._root)]
        command += ["--port", str(self.port), "--data", str(self._data), *self._devhost_options]
        return command + (["--cors", self._cors, "--cors-credentials"] if self._cors else [])

    def _func_command(self) -> list[str]:
        func = shutil.which("func")
        if not func:
            raise Failure("Azure Functions Core Tools (`func`) are not on PATH; install them or use --host devhost.")
        command = [func, "start", "--port", str(self.port)]
        return command + (["--cors", self._cors, "--cors-credentials"] if self._cors else [])

    def _process_environment(self) -> dict[str, str]:
        scripts = self._python.parent
        return {
            **self._environment,
            "PYTHONUNBUFFERED": "1",
            # Core Tools find the worker's Python by these.
            "VIRTUAL_ENV": str(scripts.parent),
            "PATH": f"{scripts}{os.pathsep}{self._environment.get('PATH', '')}",
        }

    def _serves(self) -> bool:
        if self._kind == "devhost":
            return any(line.startswith(b"ready ") for line in self.log.read_bytes().splitlines())
        # Core Tools listen before the functions are indexed; this is the host's own word for ready.
        try:
            direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with direct.open(f"{self.url}/admin/host/status", timeout=5) as answer:
                return json.load(answer).get("state") == "Running"
        except (OSError, ValueError):
            return False
