"""Writes the committed catalogue: `python -m core.catalog.generate`.

Keras is introspected in a process of its own, on the numpy backend; this one only writes down the
result. `generated.json` is one line per entry, so that a change of the Keras pin reads as a diff.
"""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from core.catalog.manifest import build_manifest
from core.keras_worker.environment import child_environment

GENERATED = Path(__file__).with_name("generated.json")


def tensorflow_version() -> str:
    """The installed TensorFlow's version, without importing it."""
    return importlib.metadata.version("tensorflow-cpu")


def introspect() -> dict[str, Any]:
    """`describe_keras()` of a fresh process. Raises CalledProcessError."""
    command = [sys.executable, "-P", "-m", "core.keras_worker.introspect"]
    environment = child_environment("numpy")
    answer = subprocess.run(command, env=environment, check=True, capture_output=True, encoding="utf-8")
    return json.loads(answer.stdout)


def serialize(manifest: dict[str, Any]) -> str:
    """Deterministic text of a manifest: sorted keys, one line for each entry."""
    parts: list[str] = []
    for key in sorted(manifest):
        value: Any = manifest[key]
        if isinstance(value, list):
            lines = ",\n".join(json.dumps(item, sort_keys=True, ensure_ascii=False) for item in value)
            parts.append(f"{json.dumps(key)}: [\n{lines}\n]")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(value, sort_keys=True)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main() -> None:
    text = serialize(build_manifest(introspect(), tensorflow_version()))
    GENERATED.write_text(text, encoding="utf-8")
    print(f"{GENERATED.name}: {len(text):,} characters")


if __name__ == "__main__":
    main()
