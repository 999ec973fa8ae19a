"""Processes that never outlive the one that started them: Azurite, the host, and what those start.

On POSIX each process runs in a process group led by a small tether (`tether.py`), on Windows in a job
object; both take the process and all its descendants down when the starter ends, even by SIGKILL.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Protocol

TETHER = Path(__file__).with_name("tether.py")


class Tie(Protocol):
    """What binds a process and its descendants to the starter's life."""

    process: subprocess.Popen[bytes]

    def sweep(self) -> None:
        """End whatever is left of the process and its descendants, at once."""


class GroupTie:
    """POSIX: a process group whose leader watches a pipe held by the starter."""

    def __init__(self, command: list[str], *, cwd: Path, env: dict[str, str], output: IO[bytes] | int):
        watched, held = os.pipe()
        try:
            self._tether = subprocess.Popen(
                [sys.executable, "-I", "-S", str(TETHER), str(watched)],
                stdin=subprocess.PIPE,
                pass_fds=[watched],
                process_group=0,
            )
            try:
                self.process = subprocess.Popen(
                    command,
                    cwd=cwd,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=[held],
                    process_group=self._tether.pid,
                )
            except OSError:
                self.sweep()
                raise
        finally:
            os.close(watched)
            os.close(held)

    def sweep(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._tether.pid, signal.SIGKILL)
        self._tether.wait()
        if self._tether.stdin:
            self._tether.stdin.close()


def start_tied(command: list[str], *, cwd: Path, env: dict[str, str], output: IO[bytes] | int) -> Tie:
    """Start a process that ends, with its descendants, no later than this one does."""
    if sys.platform == "win32":
        from devtools.windows_job import JobTie

        return JobTie(command, cwd=cwd, env=env, output=output)
    return GroupTie(command, cwd=cwd, env=env, output=output)


def stop_tied(tie: Tie, patience: float = 10.0) -> None:
    """Ask the process to end (SIGTERM; TerminateProcess on Windows), wait, then end all that is left."""
    if tie.process.poll() is None:
        tie.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            tie.process.wait(patience)
    tie.sweep()
    tie.process.wait()


def run_tied(command: list[str], *, cwd: Path, env: dict[str, str], output: IO[bytes] | int) -> int:
    """Run a command to its end; answers its exit code."""
    tie = start_tied(command, cwd=cwd, env=env, output=output)
    try:
        while tie.process.poll() is None:
            # In small portions, because Ctrl-C does not interrupt an endless wait on Windows.
            with contextlib.suppress(subprocess.TimeoutExpired):
                tie.process.wait(0.5)
        return tie.process.returncode
    finally:
        stop_tied(tie)


def kill_tied(tie: Tie) -> None:
    """SIGKILL the process alone, as a crash would, and give what it started the chance to notice."""
    tie.process.kill()
    tie.process.wait()
