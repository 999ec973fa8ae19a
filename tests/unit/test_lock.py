"""The lock files: they say what the requirements say, leave nothing to chance, and name no place to get it from."""

from __future__ import annotations

import json
import re
from importlib import metadata
from pathlib import Path

import pytest
from pip._vendor.packaging.requirements import Requirement

from devtools.lock import ALL_LOCK, APP_LOCK, LOCKS

ROOT = Path(__file__).resolve().parents[2]
ENTRY = re.compile(r"^([a-z0-9.-]+)==(\S+)( ; (?P<marker>[^\\]+))? \\$", re.MULTILINE)
OTHER_SYSTEMS = [
    {"sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "arm64", "os_name": "posix"},
    {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "aarch64", "os_name": "posix"},
    {"sys_platform": "win32", "platform_system": "Windows", "platform_machine": "AMD64", "os_name": "nt"},
]


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(requirements: str) -> list[Requirement]:
    """What the file asks for, with the files that it refers to."""
    found: list[Requirement] = []
    for line in (ROOT / requirements).read_text("utf-8").splitlines():
        if line.startswith("-r "):
            found += pins(line.removeprefix("-r "))
        elif line and not line.startswith("#"):
            found.append(Requirement(line))
    return found


def locked(lock: str) -> set[tuple[str, str]]:
    return {(name, version) for name, version, *_ in ENTRY.findall((ROOT / lock).read_text("utf-8"))}


def needed(requirements: str) -> set[str]:
    """The names of all that the requirements lead to on this system, by what is installed."""
    found: set[str] = set()
    waiting = [(pin, extra) for pin in pins(requirements) for extra in {"", *pin.extras} if _applies(pin, "")]
    seen: set[tuple[str, str]] = set()
    while waiting:
        pin, extra = waiting.pop()
        if (plain(pin.name), extra) in seen:
            continue
        seen.add((plain(pin.name), extra))
        found.add(plain(pin.name))
        for text in metadata.distribution(pin.name).requires or []:
            inner = Requirement(text)
            if _applies(inner, extra):
                waiting += [(inner, inner_extra) for inner_extra in {"", *inner.extras}]
    return found


def _applies(pin: Requirement, extra: str) -> bool:
    return pin.marker is None or pin.marker.evaluate({"extra": extra})


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_of_the_requirements_is_locked_at_its_version(lock: str) -> None:
    asked = pins(LOCKS[lock])
    assert asked and all(str(pin.specifier).startswith("==") for pin in asked)
    assert {(plain(pin.name), str(pin.specifier)[2:]) for pin in asked} <= locked(lock)


@pytest.mark.parametrize("lock", [APP_LOCK, ALL_LOCK])
def test_all_that_the_requirements_lead_to_is_locked(lock: str) -> None:
    names = {name for name, _ in locked(lock)}
    assert len(names) > 50
    assert needed(LOCKS[lock]) <= names


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_file_has_a_hash_and_none_an_address(lock: str) -> None:
    text = (ROOT / lock).read_text("utf-8")
    assert "://" not in text and "--index" not in text and "--find-links" not in text
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    entries = [line for line in lines if not line.startswith("    ")]
    assert all(ENTRY.fullmatch(line) for line in entries)
    hashes = [line for line in lines if line.startswith("    ")]
    assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line) for line in hashes)
    # An entry goes on into its first hash, and each hash but the last of an entry into the next.
    assert sum(not line.endswith("\\") for line in hashes) == len(entries)


def test_the_app_is_locked_alike_for_the_cloud_and_for_developers() -> None:
    assert locked(APP_LOCK) <= locked(ALL_LOCK)


@pytest.mark.parametrize(
    "system", OTHER_SYSTEMS, ids=lambda system: f"{system['sys_platform']} {system['platform_machine']}"
)
def test_a_tensorflow_is_locked_for_every_system(system: dict[str, str]) -> None:
    text = (ROOT / APP_LOCK).read_text("utf-8")
    found = [match for match in ENTRY.finditer(text) if match[1] in ("tensorflow", "tensorflow-cpu")]
    fitting = [match[1] for match in found if Requirement(f"x; {match['marker']}").marker.evaluate(system)]  # pyright: ignore[reportOptionalMemberAccess]
    assert len(fitting) == 1


def test_only_what_the_locks_hold_is_ever_installed() -> None:
    """Every installation of this project names a lock file and asks for its hashes."""
    for file in ("devtools/installation.py", "devtools/package.py", "infra/Dockerfile", ".ci/run"):
        text = (ROOT / file).read_text("utf-8")
        assert len(re.findall(r'pip install|"pip", "install"', text)) == text.count("--require-hashes"), file
    assert '"ci", "--ignore-scripts"' in (ROOT / "devtools/installation.py").read_text("utf-8")
    packages = json.loads((ROOT / "azurite/package-lock.json").read_text("utf-8"))["packages"]
    assert all("integrity" in package for name, package in packages.items() if name)
