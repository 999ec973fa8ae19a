"""docs/deploy.md says the same as the templates: parameters that exist, and by hand what they do."""

from __future__ import annotations

import re
from pathlib import Path

from tests.unit.infra.bicep_syntax import Template
from tests.unit.infra.test_deployment import ROLES, app_of, deployed, settings_of

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "deploy.md").read_text("utf-8")
[BY_HAND] = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
# Continued lines as one.
BY_HAND = BY_HAND.replace("\\\n", " ")


def test_every_deployment_in_the_text_gives_parameters_that_its_template_has_and_all_it_must() -> None:
    commands = re.findall(r"az deployment (?:sub|group) create .*?(?=\n    (?:az|python)|\n\n)", TEXT, re.DOTALL)
    assert len(commands) == 4
    for command in commands:
        [file] = re.findall(r"--template-file (\S+)", command)
        declared = Template(ROOT / file).declared["parameter"]
        given = set(re.findall(r"(\w+)=\S", command.partition("--parameters")[2]))
        assert {name for name, each in declared.items() if each.value is None} <= given <= declared.keys()


def test_by_hand_the_same_settings_are_made_as_by_the_template() -> None:
    command = next(line for line in BY_HAND.splitlines() if "appsettings set" in line)
    made = dict(re.findall(r'(\w+)=("[^"]*"|\S+)', command.partition("--settings")[2]))
    expected = settings_of("flex")
    assert made.keys() == expected.keys()
    plain = {name: value for name, value in made.items() if "$" not in value}
    assert plain == {name: expected[name] for name in plain}


def test_by_hand_the_same_roles_containers_and_scale_are_made_as_by_the_template() -> None:
    assert set(re.findall(r'"([A-Z][\w ]+ (?:Owner|Contributor|User))"', BY_HAND)) == set(ROLES.values())
    [containers] = re.findall(r"for CONTAINER in ([\w -]+);", BY_HAND)
    kind = "Microsoft.Storage/storageAccounts/blobServices/containers"
    assert set(containers.split()) == {each.name for each in deployed("flex").all(kind)}
    scale = app_of("flex").properties["functionAppConfig"]["scaleAndConcurrency"]
    assert (
        f"--instance-memory {scale['instanceMemoryMB']} --maximum-instance-count {scale['maximumInstanceCount']} "
        in (BY_HAND)
    )
    ready = " ".join(f"{each['name']}={each['instanceCount']}" for each in scale["alwaysReady"])
    assert f"always-ready set --resource-group $GROUP --name $APP --settings {ready}\n" in BY_HAND
    assert f"perInstanceConcurrency={scale['triggers']['http']['perInstanceConcurrency']}\n" in BY_HAND
    account = deployed("flex").one("Microsoft.Storage/storageAccounts").properties
    for flag, name in [("blob-public-access", "allowBlobPublicAccess"), ("shared-key-access", "allowSharedKeyAccess")]:
        assert f"--allow-{flag} {str(account[name]).lower()}" in BY_HAND


def test_every_parameter_and_setting_that_the_text_names_exists() -> None:
    parameters = Template(ROOT / "infra" / "main.bicep").declared["parameter"]
    assert set(re.findall(r"`(\w+Days|alwaysReady|settings|durableStorage)\b", TEXT)) <= parameters.keys()
    table = TEXT.partition("## What is set, and why")[2].partition("Anything else")[0]
    named = {name for row in re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE) for name in re.findall(r"`(\S+)`", row)}
    known = set(settings_of("flex")) | set(settings_of("containers"))
    for name in named:
        assert any(setting == name or (name.startswith("…") and setting.endswith(name[1:])) for setting in known), name
