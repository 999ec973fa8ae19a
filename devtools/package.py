"""The deployment package: a zip of the app and nothing else, the same bytes for the same files."""

from __future__ import annotations

import platform
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from devtools import Failure
from devtools.installation import pip_install
from devtools.lock import APP_LOCK

# What Azure needs of a checkout; `.funcignore` says the same to the tools that pack by themselves.
APP = ("function_app.py", "host.json", "requirements.txt", "core")
REQUIREMENTS = "requirements.txt"
# Where the Functions worker looks for packages that were built beforehand.
PACKAGES = ".python_packages/lib/site-packages"
# C++ headers, for building extensions of TensorFlow: a fifth of it, and nothing opens them.
UNUSED = "tensorflow/include"
RUNTIME = (3, 11)

# A zip holds no earlier date than this.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MB = 1_000_000


@dataclass(frozen=True)
class Package:
    """A zip that was written: its files, and their sizes together before packing."""

    path: Path
    files: int
    unpacked: int

    def __str__(self) -> str:
        packed = self.path.stat().st_size
        return f"{self.path}: {_size(packed)}, {self.files:,} files, {_size(self.unpacked)} unpacked"


def app_files(root: Path) -> dict[str, Path]:
    """The files of the app by their names in the package."""
    found: dict[str, Path] = {}
    for part in APP:
        path = root / part
        for file in [path] if path.is_file() else _below(path):
            found[file.relative_to(root).as_posix()] = file
    return found


def write_package(files: dict[str, Path], target: Path) -> Package:
    """Write the zip, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    unpacked = 0
    try:
        with zipfile.ZipFile(part, "w") as archive:
            for name in sorted(files):
                entry = zipfile.ZipInfo(name, _EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                # As on Linux, wherever it is packed.
                entry.create_system = 3
                entry.external_attr = (stat.S_IFREG | 0o644) << 16
                unpacked += files[name].stat().st_size
                with files[name].open("rb") as source, archive.open(entry, "w") as sink:
                    shutil.copyfileobj(source, sink, 1024 * 1024)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return Package(target, len(files), unpacked)


def build_package(root: Path, python: Path, target: Path, *, with_dependencies: bool) -> str:
    """Write the package to `target`; what there is to say about it. `python` has pip. Raises Failure."""
    files = app_files(root)
    if not with_dependencies:
        made = write_package(files, target)
        installed = _installed_bytes(root, python)
        return f"{made}\nWith its dependencies, as they are installed here: {_size(made.unpacked + installed)} unpacked"
    if sys.platform != "linux" or platform.machine() != "x86_64" or sys.version_info[:2] != RUNTIME:
        raise Failure(
            "Packages that run on Azure are built on 64-bit x86 Linux by Python 3.11; run this there, or leave"
            " --with-dependencies out and let Azure build (docs/deploy.md)."
        )
    with tempfile.TemporaryDirectory() as folder:
        _install(root, python, Path(folder))
        built = (file for file in Path(folder).rglob("*") if file.is_file())
        files |= {f"{PACKAGES}/{file.relative_to(folder).as_posix()}": file for file in built}
        return str(write_package(files, target))


def _below(folder: Path) -> Iterator[Path]:
    """The files in a folder, without what Python and the system leave there."""
    for file in folder.rglob("*"):
        parts = file.relative_to(folder).parts
        if file.is_file() and not any(part == "__pycache__" or part.startswith(".") for part in parts):
            yield file


def _install(root: Path, python: Path, folder: Path) -> None:
    pip = [*pip_install(python), str(root / APP_LOCK), "--no-compile", "--only-binary=:all:"]
    if subprocess.run([*pip, "--target", str(folder)]).returncode != 0:
        raise Failure("The dependencies could not be installed, see pip's words above; run this again.")
    shutil.rmtree(folder / "bin", ignore_errors=True)
    shutil.rmtree(folder / UNUSED, ignore_errors=True)
    # The package is mounted read-only: what is not compiled now would be at every cold start. Hashes instead of
    # times in the compiled files keep the package the same, and nobody changes a source beside them.
    compiling = [str(python), "-m", "compileall", "-q", "-j0", "--invalidation-mode", "unchecked-hash"]
    # Templates of some packages are no Python; whatever does not compile is not imported either.
    subprocess.run([*compiling, "-s", str(folder), str(folder)], stdout=subprocess.DEVNULL)


def _installed_bytes(root: Path, python: Path) -> int:
    """Bytes of the installed packages that requirements.txt leads to."""
    command = [str(python), "-m", "devtools.installed_size", str(root / REQUIREMENTS)]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if run.returncode != 0:
        raise Failure(f"The installed packages could not be measured: {run.stderr.strip().splitlines()[-1]}.")
    return int(run.stdout)


def _size(number: int) -> str:
    return f"{number / _MB:,.1f} MB"
