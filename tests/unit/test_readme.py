"""The README says what is true: each setting as the code has it, each guarantee by a test that exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from core.base.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
TESTS = set(
    re.findall(r"def (test_\w+)", "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py")))
)


def shown(default: Any) -> str:
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    return {"": "unset", "True": "true", "False": "false"}.get(str(default), str(default))


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_stands_in_the_readme_with_its_default_and_sentence(name: str) -> None:
    field = Settings.model_fields[name]
    default = "the system's temporary folder" if field.default_factory else shown(field.default)
    assert f"| `{field.alias or name.upper()}` | {default} | {field.description} |" in README


def test_the_readme_names_no_setting_that_is_gone() -> None:
    rows = re.findall(r"^\| `([A-Za-z_]+)` \| ", README, re.MULTILINE)
    assert set(rows) == {field.alias or name.upper() for name, field in Settings.model_fields.items()}


def test_every_guarantee_names_a_test_that_exists() -> None:
    named = re.findall(r"`(test_\w+)`", README)
    assert len(named) > 10
    assert set(named) <= TESTS


@pytest.mark.parametrize("name", ["README.md", "README.pl.md"])
def test_the_readme_is_short_and_its_links_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert text.count("\n") <= 150
    assert len(links) > 3
    for link in links:
        assert (ROOT / link).exists(), link
