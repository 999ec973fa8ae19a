"""How large the installed packages are that a requirements file leads to, in bytes.

Run by the virtual environment's Python, whose packages are counted: `python -m devtools.installed_size FILE`.
"""

from __future__ import annotations

import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

# pip carries the library that reads requirements; the standard library has none.
from pip._vendor.packaging.requirements import Requirement


def closure(file: Path) -> dict[str, Distribution]:
    """The distributions that the file's requirements need here, by name, with those that they need themselves."""
    lines = (line.partition("#")[0].strip() for line in file.read_text("utf-8").splitlines())
    waiting = [(Requirement(line), "") for line in lines if line]
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        try:
            installed = distribution(requirement.name)
        except PackageNotFoundError:
            raise SystemExit(f"{requirement.name} is not installed; run `python dev.py test --version` first") from None
        found[installed.metadata["Name"].lower()] = installed
        for wanted in ("", *requirement.extras):
            if (requirement.name, wanted) not in seen:
                seen.add((requirement.name, wanted))
                waiting += [(Requirement(text), wanted) for text in installed.requires or []]
    return found


def size(installed: Distribution) -> int:
    files = (Path(str(installed.locate_file(file))) for file in installed.files or [])
    return sum(file.stat().st_size for file in files if file.suffix != ".pyc" and file.exists())


if __name__ == "__main__":
    print(sum(map(size, closure(Path(sys.argv[1])).values())))
