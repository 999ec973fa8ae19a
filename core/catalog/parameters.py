"""One parameter as the canvas gets it: type, default, doc, choices and range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.catalog.rules import Rule, rule_for, typed_by_default

# Not for drawing: a layer's name is its node's label, and these two only repeat the input's shape.
HIDDEN = {"name", "input_tensor", "tensor"}
_NAMED = {"Input", "InputLayer"}
# Names from Keras 1 that `keras.initializers.get` still takes.
OLD_NAMES = {"uniform": "random_uniform", "normal": "random_normal", "zero": "zeros", "one": "ones"}


def describe_parameters(
    owner: str, raw: list[dict[str, Any]], docs: Mapping[str, str], choices: Mapping[str, list[str]]
) -> list[dict[str, Any]]:
    """The parameters of one class or function; `choices` has the names that may stand for each kind of object."""
    shown = [item for item in raw if item["name"] not in HIDDEN or (item["name"] == "name" and owner in _NAMED)]
    return [_describe(owner, item, docs.get(item["name"], ""), choices) for item in shown]


def _describe(owner: str, raw: dict[str, Any], doc: str, choices: Mapping[str, list[str]]) -> dict[str, Any]:
    required = "default" not in raw
    default = raw.get("default")
    rule = rule_for(owner, raw["name"]) or typed_by_default(default, doc)
    enum = list(rule.choices) or choices.get(rule.object or "", [])
    parameter: dict[str, Any] = {
        "name": raw["name"],
        "kind": raw["kind"],
        "annotation": None,
        "doc": doc,
        "required": required,
        "param_type": rule.types[0] if rule.types[0] not in ("list", "unsupported") else "string",
        "possible_values": enum or None,
        "value_range": rule.value_range,
        "enum": enum or None,
        "case_insensitive": True,
        "nullable": rule.nullable or (not required and default is None),
        "deprecated": None,
    }
    if not required:
        parameter["default"] = _shown_default(default, enum)
    return {**parameter, **_for_conversion(rule)}


def _for_conversion(rule: Rule) -> dict[str, Any]:
    """What the canvas has no use for, but the conversion of typed values has."""
    extra: dict[str, Any] = {}
    if len(rule.types) > 1:
        extra["alternatives"] = rule.types[1:]
    if rule.object is not None:
        extra["object"] = rule.object
    if rule.types[0] in ("list", "unsupported"):
        extra["carries"] = rule.types[0]
    return extra


def _shown_default(default: Any, enum: list[str]) -> Any:
    """Tuples as text, names in the spelling of the choices, everything else as it is."""
    if isinstance(default, dict):
        return repr(as_tuple(default))
    if isinstance(default, str) and enum and default not in enum:
        default = OLD_NAMES.get(default, default)
        return next((choice for choice in enum if choice.lower() == default.lower()), default)
    return default


def as_tuple(default: Any) -> Any:
    """`{"tuple": […]}` from the raw facts as a tuple, at every level."""
    if isinstance(default, dict):
        items: list[Any] = default["tuple"]
        return tuple(as_tuple(item) for item in items)
    return default
