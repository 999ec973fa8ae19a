"""The committed catalogue, loaded once: lookups for checking graphs and ready bytes for serving."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from core.catalog.generate import GENERATED

Entry = Mapping[str, Any]


class Catalog:
    """One manifest with its names and aliases resolved."""

    def __init__(self, manifest: Mapping[str, Any]) -> None:
        self.manifest = manifest
        self.versions: Mapping[str, str] = manifest["versions"]
        self._by_name: dict[str, dict[str, Entry]] = {
            kind: {entry["name"]: entry for entry in entries}
            for kind, entries in manifest.items()
            if kind != "versions"
        }
        self._aliases: dict[str, dict[str, str]] = {
            kind: _spellings(entries) for kind, entries in self._by_name.items()
        }
        self._parameters: dict[int, dict[str, Entry]] = {}

    def entries(self, kind: str) -> list[Entry]:
        return self.manifest[kind]

    def find(self, kind: str, name: str) -> Entry | None:
        """The entry of that name or alias, in exactly that spelling."""
        found = self._by_name[kind].get(name)
        return found or self._by_name[kind].get(self._aliases[kind].get(name, ""))

    def find_any_case(self, kind: str, name: str) -> Entry | None:
        """The entry of that name or alias in any case, with or without underscores."""
        key = name.replace("_", "").lower()
        return self.find(kind, name) or self._by_name[kind].get(self._aliases[kind].get(key, ""))

    def parameters(self, entry: Entry) -> dict[str, Entry]:
        """The entry's parameters by name."""
        known = self._parameters.get(id(entry))
        if known is None:
            known = self._parameters[id(entry)] = {item["name"]: item for item in entry["parameters"]}
        return known


def _spellings(entries: Mapping[str, Entry]) -> dict[str, str]:
    spellings: dict[str, str] = {}
    for name, entry in entries.items():
        for alias in [*entry.get("aliases", []), name]:
            spellings[alias] = name
            spellings.setdefault(alias.replace("_", "").lower(), name)
    return spellings


_current: list[Catalog] = []


def catalog() -> Catalog:
    """The catalogue of this process, from the committed file unless an administrator had it made anew."""
    if not _current:
        _current.append(Catalog(json.loads(GENERATED.read_text(encoding="utf-8"))))
    return _current[0]


def replace_catalog(other: Catalog | None) -> None:
    """Lets `other` count from here on; None has the file read again."""
    _current[:] = [] if other is None else [other]
