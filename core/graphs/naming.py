"""Names of layers: from the labels people give, or as Keras would number them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from core.keras_worker.aliases import snake_case

_LONGEST = 100


def slug(text: str, fallback: str) -> str:
    """The text reduced to letters, digits and `_-.`, which every backend takes in a name."""
    cleaned = re.sub(r"[^A-Za-z0-9_.\-]+", "_", text.strip())[:_LONGEST].strip("_.-")
    return cleaned or fallback


def layer_names(nodes: Iterable[tuple[str, str, Any]]) -> list[str]:
    """One name for each `(type, label, name parameter)`, unique, in the same order.

    A label that only repeats the type says nothing; such a layer is named by its type.
    """
    taken: set[str] = set()
    names: list[str] = []
    for type_name, label, own in nodes:
        default = snake_case("InputLayer" if type_name == "Input" else type_name.rsplit(".", 1)[-1])
        wish = own if isinstance(own, str) and own else label
        says_nothing = not wish or wish.lower().replace("_", "") == type_name.lower()
        base = default if says_nothing else _kept_or_slug(wish, default)
        name, number = base, 0
        # Keras's saving treats names that differ only in case as one on some file systems.
        while name.lower() in taken:
            number += 1
            name = f"{base}_{number}"
        taken.add(name.lower())
        names.append(name)
    return names


def _kept_or_slug(wish: str, fallback: str) -> str:
    usable = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.\-]*", wish) is not None and len(wish) <= _LONGEST
    return wish if usable else slug(wish, fallback)
