"""The reading of Bicep itself: that it computes what the compiler would, and refuses what that would refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.infra.bicep import deploy
from tests.unit.infra.bicep_syntax import BicepError

MODULE = """
@allowed(['a', 'b'])
param kind string
@minValue(1)
param count int = 2
var names = [for each in ['x', 'y']: '${each}-${kind}${count}']
resource thing 'T/things@1' = [for name in names: {
  name: name
}]
resource other 'T/others@1' = if (count > 2) {
  name: thing.id
}
output names array = names
output id string = other.properties.id
"""


def deployed(folder: Path, main: str) -> tuple[list[tuple[str, str]], dict[str, Any]]:
    (folder / "module.bicep").write_text(MODULE)
    (folder / "main.bicep").write_text(main)
    found = deploy(folder / "main.bicep", {})
    return [(each.type, each.name) for each in found.resources], found.outputs


def test_modules_loops_conditions_and_references_come_to_what_they_say(tmp_path: Path) -> None:
    main = """
    module part 'module.bicep' = {
      params: {
        kind: 'b'
        count: 3
      }
    }
    var entries = map(items(union({ q: 1 }, { p: 2 })), each => { name: each.key })
    output first object = !empty(entries) ? { is: part.outputs.id } : {}
    """
    resources, outputs = deployed(tmp_path, main)
    assert resources == [("T/things", "x-b3"), ("T/things", "y-b3"), ("T/others", "[thing.id]")]
    assert outputs == {"first": {"is": "[other.properties.id]"}}


def used(parameters: str, more: str = "") -> str:
    return f"module part 'module.bicep' = {{ params: {{ {parameters} }} }}\n{more}"


@pytest.mark.parametrize(
    ("main", "told"),
    [
        ("param = 1", "not valid Bicep"),
        (used("kind: 'c'"), "not allowed for kind"),
        (used("kind: 'a', count: 0"), "not allowed for count"),
        (used("kind: 'a', count: '2'"), "not allowed for count"),
        (used("count: 2"), r"\['kind'\] are missing"),
        (used("kind: 'a', size: 2"), r"\['size'\] unknown"),
        (used("kind: 'a'", "output o string = part.outputs.nothing"), "there is no nothing"),
        (used("kind: kinds"), r"\['kinds'\] are not declared"),
        (used("kind: 'a'", "var left = 1"), r"nobody uses \['left'\]"),
        (used("kind: 'a'", "output o string = toUpper('a')"), "the function toUpper"),
        (used("kind: 'a'", "output o string = false ? nobody : 'a'"), r"\['nobody'\] are not declared"),
        (
            "module m 'module.bicep' = if (false) { params: { kind: 'a' } }\noutput o string = m.outputs.id",
            "not deployed",
        ),
    ],
)
def test_what_a_compiler_would_refuse_is_refused(tmp_path: Path, main: str, told: str) -> None:
    with pytest.raises(BicepError, match=told):
        deployed(tmp_path, main)
