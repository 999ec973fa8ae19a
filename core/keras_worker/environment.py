"""The environment in which a child process starts: what Python and TensorFlow need, and nothing that is secret."""

import os
import sys
from pathlib import Path

_PASSED_ON = (
    "PATH", "HOME", "USERPROFILE", "TMPDIR", "TMP", "TEMP", "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC",
    "LANG", "LC_ALL", "LD_LIBRARY_PATH", "NUMBER_OF_PROCESSORS",
)  # fmt: skip
APP_ROOT = Path(__file__).resolve().parents[2]


def child_environment(backend: str) -> dict[str, str]:
    """The whole environment of a child with this Keras backend ("tensorflow", "numpy", or "none" for no Keras at all).

    In Azure the packages lie in `.python_packages`, which only the worker's own `sys.path` names; so the
    parent's path is handed on as a whole.
    """
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    search_path = [str(APP_ROOT), *(str(Path(entry).resolve()) for entry in sys.path)]
    return kept | {
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(search_path)),
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def child_command(role: str, backend: str, *arguments: str) -> list[str]:
    """The command line of a fork server or a child. `-P` keeps modules in the current folder out of it."""
    return [sys.executable, "-P", "-m", "core.keras_worker", role, "--backend", backend, *arguments]
