"""Reads every file of a corpus under an audit hook: `python -m tests.unit.importing.audited FOLDER LIMITS`.

Prints `{name: {"result" | "refused" | "failed", "violations": […]}}`. A violation is any event by which code is
compiled, run or imported, a process or a socket made, or a file opened outside the file's own folder.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

from core.keras_worker.errors import Refused
from core.keras_worker.read_model import read_model_file

FORBIDDEN = ("exec", "compile", "import", "marshal.", "pickle.", "socket.", "subprocess.", "os.", "ctypes.", "shutil.")


class Watch:
    """Notes what happens while one file is read; before and after, the interpreter may do as it likes."""

    def __init__(self) -> None:
        self.folder = ""
        self.violations: list[str] = []

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.folder:
            return
        if event == "open":
            path = arguments[0]
            if isinstance(path, int) or not os.path.abspath(os.fsdecode(path)).startswith(self.folder + os.sep):
                self.violations.append(f"open {path!r}")
        elif event.startswith(FORBIDDEN):
            self.violations.append(f"{event} {arguments!r}"[:300])


def main() -> None:
    folder, limits = Path(sys.argv[1]).resolve(), json.loads(sys.argv[2])
    watch = Watch()
    sys.addaudithook(watch)
    seen: dict[str, Any] = {}
    for place in sorted(folder.iterdir()):
        [path] = place.iterdir()
        watch.folder, watch.violations = str(place), []
        try:
            outcome: dict[str, Any] = {"result": read_model_file({"path": str(path), "limits": limits})}
        except Refused as refused:
            outcome = {"refused": str(refused)}
        except Exception:  # noqa: BLE001  whatever else comes out is what the test wants to see
            watch.folder = ""
            outcome = {"failed": traceback.format_exc()}
        watch.folder = ""
        seen[place.name] = {**outcome, "violations": watch.violations}
    seen["control"] = {"violations": _control(watch, folder)}
    print(json.dumps(seen))


def _control(watch: Watch, folder: Path) -> list[str]:
    """What the hook notes of things that a reader must not do."""
    watch.folder, watch.violations = str(folder), []
    compile("1", "control", "eval")
    socket.socket().close()
    open(__file__).close()
    (folder / "control.txt").write_text("in its own folder", "utf-8")
    watch.folder = ""
    return watch.violations


if __name__ == "__main__":
    main()
