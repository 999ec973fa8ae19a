"""Presets: ready drawings to begin with. Some are shipped with the app, administrators add others."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from core.base.errors import BadRequest
from core.graphs.schema import check_graph

SHIPPED_AT = "2026-01-01T00:00:00.000000Z"
_FOLDER = Path(__file__).with_name("shipped")
_NAMESPACE = uuid.UUID("6f0c2f0e-6f5b-4a53-9a3c-0f6f2c1d5b7a")


@dataclass(frozen=True)
class Preset:
    """One preset; `deleted` marks a shipped one that an administrator took away."""

    id: str
    slug: str
    name: str
    description: str
    graph: Mapping[str, Any]
    created_at: str
    updated_at: str
    deleted: bool = False

    def view(self) -> dict[str, Any]:
        """The preset as the API shows it."""
        keys = ("id", "slug", "name", "description", "graph", "created_at", "updated_at")
        return {key: getattr(self, key) for key in keys}

    def changed(self, sent: Mapping[str, Any], at: str, *, whole: bool) -> Preset:
        """The preset after a PUT (`whole`) or PATCH. Raises BadRequest with all problems of what was sent."""
        problems: dict[str, Any] = {}
        fields: dict[str, Any] = {"description": ""} if whole else {}
        for key, most in (("slug", 80), ("name", 120), ("description", 10_000)):
            if key in sent:
                fields[key] = _text(key, sent[key], most, problems)
            elif whole and key != "description":
                problems[key] = [f"A preset needs a {key}."]
        if "slug" in fields and "slug" not in problems and not re.fullmatch(r"[a-z0-9][a-z0-9-]*", fields["slug"]):
            problems["slug"] = ["Use lower-case letters, digits and hyphens, e.g. mlp-regression."]
        if "graph" in sent or whole:
            fields["graph"] = _graph(sent.get("graph"), problems)
        if problems:
            raise BadRequest(problems)
        return replace(self, **fields, updated_at=at, deleted=False)


def _text(key: str, value: Any, most: int, problems: dict[str, Any]) -> str:
    if not isinstance(value, str) or (key != "description" and not value.strip()):
        problems[key] = ["This must be text."]
        return ""
    if len(value) > most:
        problems[key] = [f"This has {len(value)} characters; at most {most} are allowed."]
    return value


def _graph(value: Any, problems: dict[str, Any]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        problems["graph"] = ["Give the graph as an object with nodes and edges."]
        return {}
    try:
        check_graph(value.get("nodes"), value.get("edges"))
    except BadRequest as refused:
        problems["graph"] = refused.body
    return value


@cache
def shipped() -> dict[str, Preset]:
    """The presets in this package, by id."""
    presets: dict[str, Preset] = {}
    for path in sorted(_FOLDER.glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        preset_id = str(uuid.uuid5(_NAMESPACE, content["slug"]))
        presets[preset_id] = Preset(preset_id, **content, created_at=SHIPPED_AT, updated_at=SHIPPED_AT)
    return presets
