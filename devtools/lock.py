"""The lock files: every package that the requirements lead to, with the hashes of its files, for every platform.

Installing from them takes what was tested or nothing. They name no package index: each installation uses its own.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from devtools import Failure

APP_LOCK, ALL_LOCK, NODE_LOCK = "requirements.lock", "requirements-dev.lock", "requirements-node.lock"
# Each lock and what it is made of, in this order: what the app needs is the same version in all.
LOCKS = {APP_LOCK: "requirements.txt", ALL_LOCK: "requirements-dev.txt", NODE_LOCK: "requirements-node.txt"}
OLDEST_PYTHON = "3.11"


def write_locks(root: Path, python: Path, *, upgrade: bool) -> None:
    """Make the lock files agree with the requirements. Raises Failure.

    What is locked already stays at its version, unless `upgrade` asks for the newest that the pins allow.
    """
    for lock, requirements in LOCKS.items():
        command = [str(python), "-m", "uv", "pip", "compile", requirements, "--output-file", lock, "--quiet"]
        command += ["--universal", "--python-version", OLDEST_PYTHON, "--generate-hashes", "--no-annotate"]
        command += ["--custom-compile-command", "python dev.py lock"]
        command += ["--constraint", APP_LOCK] if lock == ALL_LOCK else []
        command += ["--upgrade"] if upgrade else []
        # A configuration of uv could write the address of an index into the file.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("UV_")}
        if subprocess.run([*command, "--no-config"], cwd=root, env=environment).returncode != 0:
            raise Failure(f"{lock} could not be written, see the words above; correct {requirements}.")
