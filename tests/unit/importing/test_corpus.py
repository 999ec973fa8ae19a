"""Crafted model files: each is refused with its own sentence, and none makes the reader do more than read it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from core.keras_worker.environment import child_environment
from tests.unit.importing.corpus import LIMITS, POINTED_AT, READ, REFUSED, write_corpus


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one process without Keras made of all files, under an audit hook."""
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder)
    # HDF5 opens files itself, where no hook sees it; opening this one would wait for ever.
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    if hasattr(os, "mkfifo"):
        os.mkfifo(elsewhere / POINTED_AT)
    command = [sys.executable, "-m", "tests.unit.importing.audited", str(folder), json.dumps(LIMITS)]
    answer = subprocess.run(
        command, env=child_environment("none"), cwd=elsewhere, check=True, capture_output=True, text=True, timeout=60
    )
    return json.loads(answer.stdout.splitlines()[-1])


def sentence(outcomes: dict[str, Any], name: str) -> str:
    assert "refused" in outcomes[name], outcomes[name]
    return outcomes[name]["refused"]


@pytest.mark.parametrize("name", REFUSED)
def test_each_crafted_file_is_refused_with_its_own_sentence(outcomes: dict[str, Any], name: str) -> None:
    assert REFUSED[name][1] in sentence(outcomes, name)


@pytest.mark.parametrize("name", [*REFUSED, *READ])
def test_reading_compiles_runs_and_imports_nothing_and_opens_only_its_folder(
    outcomes: dict[str, Any], name: str
) -> None:
    assert outcomes[name]["violations"] == []


def test_the_audit_hook_notes_what_a_reader_must_not_do(outcomes: dict[str, Any]) -> None:
    events = [event.split()[0] for event in outcomes["control"]["violations"]]
    assert events == ["compile", "socket.__new__", "open"]


@pytest.mark.parametrize("name", READ)
def test_a_good_file_is_read(outcomes: dict[str, Any], name: str) -> None:
    layers = outcomes[name]["result"]["model"]["config"]["layers"]
    assert [layer["class_name"] for layer in layers] == ["InputLayer", "Dense"]


def test_no_sentence_shows_a_path_of_this_machine(outcomes: dict[str, Any], tmp_path_factory: Any) -> None:
    base = str(tmp_path_factory.getbasetemp())
    assert not [name for name in REFUSED if base in sentence(outcomes, name) or "Traceback" in sentence(outcomes, name)]


def test_python_code_in_a_config_is_never_reached(outcomes: dict[str, Any]) -> None:
    """CVE-2024-3660, CVE-2025-9905: Lambda layers of .keras and .h5 files that run when the file is loaded."""
    for name in ("lambda.keras", "lambda.h5", "wrapped_lambda.keras", "marshalled_activation.keras"):
        assert "never run" in sentence(outcomes, name)


def test_a_config_cannot_name_modules_and_functions(outcomes: dict[str, Any]) -> None:
    """CVE-2025-1550, CVE-2025-8747: `module` and `class_name` that lead to any function, of Keras or not."""
    for name in ("module_os.keras", "module_in_parameter.keras", "get_file.keras"):
        assert "from the module" in sentence(outcomes, name)


def test_a_config_cannot_switch_safe_mode_off(outcomes: dict[str, Any]) -> None:
    """CVE-2025-9906: a config whose deserialisation calls `enable_unsafe_deserialization`."""
    assert "keras.config" in sentence(outcomes, "enable_unsafe.keras")


def test_no_layer_loads_a_foreign_program(outcomes: dict[str, Any]) -> None:
    """CVE-2025-49655 (TorchModuleWrapper unpickles), CVE-2026-1462 (TFSMLayer loads a SavedModel)."""
    assert "PyTorch" in sentence(outcomes, "torch.keras")
    assert "TensorFlow" in sentence(outcomes, "tfsm.keras")


def test_a_vocabulary_is_never_read_from_a_file(outcomes: dict[str, Any]) -> None:
    """CVE-2025-12058: a lookup layer whose vocabulary is a path or a URL."""
    assert "from a file" in sentence(outcomes, "vocabulary.keras")


def test_names_in_a_zip_lead_nowhere(outcomes: dict[str, Any]) -> None:
    """CVE-2025-12060: members that are unpacked outside the folder, by name or through a link."""
    assert "absolute" in sentence(outcomes, "absolute.keras")
    assert "'..'" in sentence(outcomes, "parent.keras")
    assert "symbolic link" in sentence(outcomes, "symlink.keras")


def test_shapes_cannot_use_up_the_memory(outcomes: dict[str, Any]) -> None:
    """CVE-2026-0897: an HDF5 data set of terabytes in a file of kilobytes."""
    assert "declare more than" in sentence(outcomes, "shape_bomb.keras")


def test_hdf5_never_reaches_out_of_its_file(outcomes: dict[str, Any]) -> None:
    """CVE-2026-1669: external storage and links that read files of the host into weights."""
    for name in ("external_storage", "external_link", "virtual"):
        assert sentence(outcomes, f"{name}.keras") == sentence(outcomes, f"{name}.h5")
