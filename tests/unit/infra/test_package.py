"""The deployment package: what is in it, that it is always the same, and that it runs where only it is."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

from devtools.installed_size import closure
from devtools.package import app_files, write_package
from tests.unit.test_app import FUNCTIONS

ROOT = Path(__file__).resolve().parents[3]

# Isolated: neither the working directory nor the environment adds to the path, only the package does.
INDEX = """
import json, sys
sys.path.insert(0, sys.argv[1])
import function_app
names = sorted(function.get_function_name() for function in function_app.app.get_functions())
files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
print(json.dumps({"functions": names, "files": files}))
"""


pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="git knows which files belong to the project")


def tracked() -> set[str]:
    run = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(run.stdout.split("\n")) - {""}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    made = write_package(app_files(ROOT), folder / "app.zip")
    with zipfile.ZipFile(made.path) as archive:
        archive.extractall(folder / "app")
    return folder / "app"


def indexed(python: Path | str, app: Path) -> dict[str, Any]:
    run = subprocess.run([python, "-I", "-c", INDEX, app], cwd=app.parent, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_the_package_holds_the_app_and_nothing_of_its_development(unpacked: Path) -> None:
    found = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    expected = {"function_app.py", "host.json", "requirements.txt"}
    expected |= {name for name in tracked() if name.startswith("core/")}
    assert found == expected


def test_funcignore_leaves_the_same_files_to_other_tools() -> None:
    names = sorted(tracked())
    command = ["git", "-c", f"core.excludesFile={ROOT / '.funcignore'}", "check-ignore", "--no-index", "--stdin"]
    run = subprocess.run(command, cwd=ROOT, input="\n".join(names), capture_output=True, text=True)
    ignored = set(run.stdout.split("\n"))
    assert [name for name in names if name not in ignored] == sorted(app_files(ROOT))


def test_the_same_tree_gives_the_same_bytes_whatever_its_times(tmp_path: Path) -> None:
    first = write_package(app_files(ROOT), tmp_path / "first.zip")
    copy = tmp_path / "copy"
    with zipfile.ZipFile(first.path) as archive:
        archive.extractall(copy)
    (copy / "core" / "__pycache__").mkdir()
    (copy / "core" / "__pycache__" / "left.pyc").write_bytes(b"compiled")
    second = write_package(app_files(copy), tmp_path / "second.zip")
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.files == second.files


def test_the_package_alone_has_every_function_and_needs_only_what_requirements_txt_names(unpacked: Path) -> None:
    found = indexed(sys.executable, unpacked)
    assert found["functions"] == sorted(FUNCTIONS)
    ours = [file for file in found["files"].values() if file and Path(file).is_relative_to(ROOT / "core")]
    assert not ours
    allowed = set(closure(ROOT / "requirements.txt"))
    owners = packages_distributions()
    foreign = {
        top
        for top in {name.partition(".")[0] for name in found["files"]}
        if top in owners and not {owner.lower() for owner in owners[top]} & allowed
    }
    assert not foreign


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_the_package_runs_in_a_fresh_environment_with_only_requirements_txt(unpacked: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", "requirements.txt"]
    subprocess.run(pip, cwd=unpacked, check=True)
    assert indexed(python, unpacked)["functions"] == sorted(FUNCTIONS)
