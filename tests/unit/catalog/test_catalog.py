"""The committed catalogue against the pinned Keras, and against what the canvas needs of it."""

from __future__ import annotations

import re

import pytest

from core.catalog.catalog import catalog
from core.catalog.docstrings import arguments, sections
from core.catalog.generate import GENERATED, introspect, serialize, tensorflow_version
from core.catalog.manifest import KINDS, build_manifest
from core.catalog.pages import list_view
from core.catalog.parameters import HIDDEN
from core.catalog.rules import BY_NAME, BY_OWNER, parse
from core.graphs.objects import convert_value

ENTRIES = [(kind, entry) for kind in KINDS for entry in catalog().entries(kind)]
PARAMETERS = [(entry["name"], parameter) for _, entry in ENTRIES for parameter in entry["parameters"]]
# Their docs list words in quotes that are no choices of the parameter, or choices that names cannot say.
WITHOUT_ENUM = {
    ("EinsumDense", "equation"), ("EinsumDense", "bias_axes"), ("Lambda", "function"),
    ("TextVectorization", "vocabulary"), ("StringLookup", "vocabulary"), ("IntegerLookup", "vocabulary"),
}  # fmt: skip


def test_the_committed_file_is_what_keras_says_today() -> None:
    made = serialize(build_manifest(introspect(), tensorflow_version()))
    assert made == GENERATED.read_text(encoding="utf-8"), "run: python -m core.catalog.generate"


@pytest.mark.parametrize("kind", KINDS)
def test_counts_equal_lengths(kind: str) -> None:
    view = list_view(catalog(), kind)
    count = "loss_count" if kind == "losses" else f"{kind.removesuffix('s')}_count"
    assert view[count] == len(view[kind])
    assert view["tensorflow_version"] == tensorflow_version()
    assert ("keras_version" in view) == (kind == "layers")


def test_first_entries_are_what_the_canvas_takes_by_default() -> None:
    assert catalog().entries("optimizers")[0]["name"] == "Adam"
    squared = catalog().find("losses", "MeanSquaredError")
    assert squared is not None
    assert squared["alias_of"] is None


def test_functions_of_losses_name_the_class_behind_them() -> None:
    functions = [entry for entry in catalog().entries("losses") if entry["is_function"]]
    assert functions
    assert all(catalog().find("losses", entry["alias_of"]) for entry in functions)


def test_metrics_of_the_train_tab_are_there() -> None:
    for name in ("MeanSquaredError", "RootMeanSquaredError", "MeanAbsoluteError", "R2Score", "BinaryAccuracy", "AUC",
                 "Precision", "Recall", "CategoricalAccuracy", "SparseCategoricalAccuracy",
                 "TopKCategoricalAccuracy"):  # fmt: skip
        assert catalog().find("metrics", name) is not None


def test_every_parameter_is_usable_by_the_inspector() -> None:
    for owner, parameter in PARAMETERS:
        named = f"{owner}.{parameter['name']}"
        assert parameter["param_type"] in ("int", "float", "bool", "string", "tuple_int", "tuple_float"), named
        assert parameter["required"] == ("default" not in parameter), named
        default = parameter.get("default")
        assert not isinstance(default, list | dict), named
        if "bool" in parameter["param_type"] and default is not None:
            assert isinstance(default, bool), named
        if isinstance(default, str) and parameter["enum"]:
            assert default in parameter["enum"], named


def test_every_default_of_a_layer_passes_the_conversion() -> None:
    for entry in catalog().entries("layers"):
        for parameter in entry["parameters"]:
            if parameter.get("default") is not None and not parameter.get("carries"):
                convert_value(parameter, parameter["default"])


def test_parameters_whose_doc_lists_choices_have_an_enum() -> None:
    missing = {
        (entry["name"], parameter["name"])
        for entry in catalog().entries("layers")
        for parameter in entry["parameters"]
        if re.search(r"[Oo]ne of .{0,4}[`\"'].{1,40}[`\"'],", parameter["doc"]) and not parameter["enum"]
    }
    assert missing <= WITHOUT_ENUM


def test_every_rule_is_about_a_parameter_that_exists() -> None:
    names = {parameter["name"] for _, parameter in PARAMETERS} | HIDDEN
    kinds = ("initializers", "regularizers", "constraints")
    objects = [
        (entry["name"], item["name"])
        for kind in kinds
        for entry in catalog().entries(kind)
        for item in entry["parameters"]
    ]
    owned = {(owner, parameter["name"]) for owner, parameter in PARAMETERS} | set(objects)
    assert {name for name in BY_NAME if name not in names | {name for _, name in objects}} == set()
    for owner, name in BY_OWNER:
        prefix = owner.removesuffix("*")
        assert any(
            name == other and (known.startswith(prefix) if owner != prefix else known == owner)
            for known, other in owned
        ), (owner, name)


@pytest.mark.parametrize("text", [*BY_NAME.values(), *BY_OWNER.values()])
def test_every_rule_reads(text: str) -> None:
    assert parse(text).types


def test_layers_are_grouped_as_in_the_keras_docs() -> None:
    expected = {"Dense": "Core", "Conv2D": "Convolutional", "MaxPooling2D": "Pooling", "LSTM": "Recurrent",
                "BatchNormalization": "Normalization", "Dropout": "Regularization", "Attention": "Attention",
                "Flatten": "Reshaping", "Concatenate": "Merging", "ReLU": "Activation"}  # fmt: skip
    for name, category in expected.items():
        entry = catalog().find("layers", name)
        assert entry is not None
        assert entry["categories"][0] == category
    assert catalog().entries("layers")[0]["categories"] == ["Core"]


def test_arguments_are_read_from_docstrings_on_one_line_each() -> None:
    doc = (
        "Does a thing.\n\nArgs:\n    units: Positive\n        integer.\n"
        "    rate: Float.\n        - one: not an argument\n\nReturns:\n    x"
    )
    assert arguments(doc) == {"units": "Positive integer.", "rate": "Float. - one: not an argument"}
    assert set(sections(doc)) == {"", "Args", "Returns"}


def test_most_parameters_of_layers_have_a_doc() -> None:
    docs = [bool(parameter["doc"]) for entry in catalog().entries("layers") for parameter in entry["parameters"]]
    assert sum(docs) / len(docs) > 0.9
