"""local.settings.json: the settings of a local run, made from the example when missing."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

from devtools import Failure

EXAMPLE = "local.settings.example.json"
FILE = "local.settings.json"
SIGNING_KEY = "ASPNET_JWT_KEY"


def local_settings(root: Path) -> dict[str, Any]:
    """The parsed local.settings.json of the app in `root`, written first if there is none."""
    file = root / FILE
    if not file.exists():
        settings = _parsed(root / EXAMPLE)
        settings.setdefault("Values", {})[SIGNING_KEY] = secrets.token_urlsafe(48)
        _write_private(file, json.dumps(settings, indent=2) + "\n")
    return _parsed(file)


def missing_values(root: Path) -> dict[str, str]:
    """The `Values` that the example has gained since local.settings.json was made from it."""
    own = local_settings(root).get("Values", {})
    example = _parsed(root / EXAMPLE).get("Values", {})
    return {name: str(value) for name, value in example.items() if name not in own}


def setting(settings: dict[str, Any], name: str, environment: dict[str, str]) -> str:
    """The value that the app will see: the environment wins over `Values`, as in Core Tools."""
    return environment[name] if name in environment else str(settings.get("Values", {}).get(name, ""))


def _parsed(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise Failure(f"{file.name} is missing; restore it with `git checkout -- {file.name}`.") from None
    except ValueError as problem:
        raise Failure(f"{file.name} is not valid JSON ({problem}); repair it, or delete it.") from None


def _write_private(file: Path, text: str) -> None:
    """The file holds a key: only its owner may read it, and nobody ever sees half of it."""
    partial = file.with_name(f"{file.name}.{os.getpid()}.part")
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
        out.write(text)
    os.replace(partial, file)
