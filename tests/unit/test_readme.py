"""The READMEs say what is true: each setting as the code has it, each guarantee by a test that exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from core.base.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
POLISH = (ROOT / "README.pl.md").read_text("utf-8")
# The defaults that are words.
IN_POLISH = {"unset": "brak", "the system's temporary folder": "systemowy folder tymczasowy"}
TESTS = set(
    re.findall(r"def (test_\w+)", "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py")))
)


def shown(default: Any) -> str:
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    return {"": "unset", "True": "true", "False": "false"}.get(str(default), str(default))


def settings_of(readme: str) -> list[tuple[str, str, str]]:
    return re.findall(r"^\| `([A-Za-z_]+)` \| (.+?) \| (.+) \|$", readme, re.MULTILINE)


def guarantees_of(readme: str) -> list[tuple[str, str]]:
    return re.findall(r"^\| (.+) \| `(test_\w+)` \|$", readme, re.MULTILINE)


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_stands_in_the_readme_with_its_default_and_sentence(name: str) -> None:
    field = Settings.model_fields[name]
    default = "the system's temporary folder" if field.default_factory else shown(field.default)
    assert f"| `{field.alias or name.upper()}` | {default} | {field.description} |" in README


def test_the_readme_names_no_setting_that_is_gone() -> None:
    assert {name for name, _, _ in settings_of(README)} == {
        field.alias or name.upper() for name, field in Settings.model_fields.items()
    }


def test_every_guarantee_names_a_test_that_exists() -> None:
    named = re.findall(r"`(test_\w+)`", README)
    assert len(named) > 10
    assert set(named) <= TESTS


def test_the_polish_readme_has_the_same_settings_and_defaults_in_polish() -> None:
    english, polish = settings_of(README), settings_of(POLISH)
    assert [(name, default) for name, default, _ in polish] == [
        (name, IN_POLISH.get(default, default)) for name, default, _ in english
    ]
    assert not {sentence for _, _, sentence in polish} & {sentence for _, _, sentence in english}


def test_the_polish_readme_has_the_same_guarantees_in_polish() -> None:
    english, polish = guarantees_of(README), guarantees_of(POLISH)
    assert [test for _, test in polish] == [test for _, test in english]
    assert not {sentence for sentence, _ in polish} & {sentence for sentence, _ in english}
    assert set(re.findall(r"test_\w+", POLISH)) == set(re.findall(r"test_\w+", README))


@pytest.mark.parametrize("name", ["README.md", "README.pl.md"])
def test_the_readme_is_short_and_its_links_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert text.count("\n") <= 150
    assert len(links) > 3
    for link in links:
        assert (ROOT / link).exists(), link
