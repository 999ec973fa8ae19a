"""The catalogues in the shape of the contract, and as bytes to send."""

from __future__ import annotations

from typing import Any

from core.base.http import dump_json
from core.base.page import Page
from core.catalog.catalog import Catalog

_SHOWN = {
    "layers": ("name", "description", "categories", "parameters", "deprecated", "refused"),
    "optimizers": ("name", "description", "parameters"),
    "losses": ("name", "description", "parameters", "is_function", "alias_of"),
    "metrics": ("name", "description", "parameters", "is_base_class"),
    "activations": ("name", "description", "parameters", "is_utility"),
}
_COUNTS = {
    "layers": "layer_count",
    "optimizers": "optimizer_count",
    "losses": "loss_count",
    "metrics": "metric_count",
    "activations": "activation_count",
}


def list_view(catalog: Catalog, kind: str) -> dict[str, Any]:
    """`{"tensorflow_version", "<kind>_count", "<kind>": […]}`; layers say `keras_version` as well."""
    entries = [{key: entry[key] for key in _SHOWN[kind]} for entry in catalog.entries(kind)]
    versions = dict(catalog.versions)
    if kind != "layers":
        versions.pop("keras_version")
    return {**versions, _COUNTS[kind]: len(entries), kind: entries}


def list_page(catalog: Catalog, kind: str) -> Page:
    return Page.of(dump_json(list_view(catalog, kind)))


def specs(catalog: Catalog, kind: str) -> dict[str, Any]:
    """The versions; for layers also the values that each parameter takes, by layer and name."""
    if kind != "layers":
        return {"tensorflow_version": catalog.versions["tensorflow_version"]}
    values = {
        entry["name"]: {
            parameter["name"]: {key: parameter[key] for key in ("param_type", "enum", "value_range", "nullable")}
            for parameter in entry["parameters"]
        }
        for entry in catalog.entries("layers")
    }
    return {**catalog.versions, "param_value_specs": values}
