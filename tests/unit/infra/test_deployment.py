"""The templates of infra/ against the app: what they set, open, allow and announce is what the code needs."""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from azurefunctions.extensions.bindings.blob.utils import service_client_factory

from azurite.bootstrap import prepare
from core.base.auth import authenticate
from core.base.clients import connect
from core.base.errors import Unauthorized
from core.base.jwks import KeySet
from core.base.settings import Settings
from core.training.run import LATE_SECONDS
from core.training.work import disk_needed
from devtools.lock import APP_LOCK
from devtools.package import APP, RUNTIME
from tests.harness import bearer
from tests.unit.infra.bicep import Deployment, Resource, deploy
from tests.unit.infra.bicep_syntax import Template
from tests.unit.test_app import FUNCTIONS, indexed

ROOT = Path(__file__).resolve().parents[3]
INFRA = ROOT / "infra"
ORIGINS = "https://canvas.example.org,http://localhost:5173"
GIVEN = {"environmentName": "test", "location": "westeurope", "canvasOrigins": ORIGINS, "signingKey": "secret"}
VARIANTS: dict[str, dict[str, Any]] = {
    "flex": {},
    "flex with scheduler": {"durableStorage": "durableTaskScheduler"},
    "containers": {"hosting": "containerApps", "image": "registry/canvas:1"},
    "containers with scheduler": {
        "hosting": "containerApps",
        "image": "registry/canvas:1",
        "durableStorage": "durableTaskScheduler",
    },
    "containers before there is an image": {"hosting": "containerApps"},
    "with everything": {"alertEmail": "me@example.org", "artifactDays": 365, "settings": {"MAX_EPOCHS": "100"}},
}
SERVED = [name for name in VARIANTS if "before" not in name]

# Built-in roles by their ids, as Microsoft lists them, and what in the code needs each.
ROLES = {
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",  # host, core/base/blobs, user-delegation SAS
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": "Storage Queue Data Contributor",  # durable functions, blob triggers
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Storage Table Data Contributor",  # core/base/tables, durable functions
    "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",  # ASPNET_JWT_KEY
}
CONTAINER_ROLES = {"7f951dda-4ed3-4680-a7ca-43fe172d538d": "AcrPull"}  # the image
SCHEDULER_ROLES = {"0ad04412-c4d5-4796-b79c-f76d14c8d402": "Durable Task Data Contributor"}  # starts, queries, works

# Every kind of resource, and what needs it.
KINDS = {
    "Microsoft.Resources/resourceGroups",
    "Microsoft.ManagedIdentity/userAssignedIdentities",
    "Microsoft.Authorization/roleAssignments",
    "Microsoft.Storage/storageAccounts",
    "Microsoft.Storage/storageAccounts/blobServices",  # CORS
    "Microsoft.Storage/storageAccounts/blobServices/containers",
    "Microsoft.Storage/storageAccounts/managementPolicies",  # lifecycle
    "Microsoft.KeyVault/vaults",
    "Microsoft.KeyVault/vaults/secrets",
    "Microsoft.OperationalInsights/workspaces",
    "Microsoft.Insights/components",
    "Microsoft.Insights/actionGroups",
    "Microsoft.Insights/scheduledQueryRules",
    "Microsoft.Insights/metricAlerts",
    "Microsoft.Insights/workbooks",
}
FLEX_KINDS = {"Microsoft.Web/serverfarms", "Microsoft.Web/sites"}
CONTAINER_KINDS = {
    "Microsoft.ContainerRegistry/registries",
    "Microsoft.App/managedEnvironments",
    "Microsoft.App/containerApps",
    "Microsoft.Insights/diagnosticSettings",
}
SCHEDULER_KINDS = {"Microsoft.DurableTask/schedulers", "Microsoft.DurableTask/schedulers/taskHubs"}

# Settings that are not the app's own: who reads each.
FOREIGN_SETTINGS = {
    "AzureWebJobsStorage__queueServiceUri": "the host: durable functions and announced blobs",
    "AzureWebJobsStorage__credential": "the host and the blob binding: managed identity",
    "AzureWebJobsStorage__clientId": "the host and the blob binding: which identity",
    "AZURE_CLIENT_ID": "DefaultAzureCredential: which identity",
    "DURABLE_TASK_SCHEDULER_CONNECTION_STRING": "the durable extension",
    "FUNCTIONS_WORKER_RUNTIME": "the host in a container; Flex Consumption refuses it",
}
# Settings whose defaults are for a developer's machine: why they must be set.
WITHOUT_A_DEFAULT_FOR_THE_CLOUD = {
    "ASPNET_JWT_KEY": "there is no default key",
    "AzureWebJobsStorage__accountName": "there is no account",
    "APPLICATIONINSIGHTS_CONNECTION_STRING": "without it nobody sees what happens",
    "TASK_HUB_NAME": "read by host.json",
    "BLOB_TRIGGER_SOURCE": "polling is impossible on Flex Consumption",
    "CHILD_MEMORY_MB": "the default is all that an instance has",
    "TRAINING_THREADS": "results depend on it, and groups of instances may differ in cores",
}
HOST_JSON_OVERRIDE = "AzureFunctionsJobHost__"


@cache
def deployed(variant: str) -> Deployment:
    return deploy(INFRA / "main.bicep", GIVEN | VARIANTS[variant])


@cache
def events() -> Deployment:
    return deploy(INFRA / "events.bicep", {"functionAppName": "func-x", "storageAccountName": "stx"})


def app_of(variant: str) -> Resource:
    found = deployed(variant)
    return found.one("Microsoft.App/containerApps" if variant.startswith("containers") else "Microsoft.Web/sites")


def settings_of(variant: str) -> dict[str, str]:
    app = app_of(variant)
    if app.type == "Microsoft.Web/sites":
        listed = app.properties["siteConfig"]["appSettings"]
    else:
        listed = app.properties["template"]["containers"][0]["env"]
    found = {each["name"]: each.get("value", "a secret") for each in listed}
    assert len(found) == len(listed)
    return found


def host_json(variant: str) -> dict[str, Any]:
    """host.json as the settings of this variant change it."""
    host = json.loads((ROOT / "host.json").read_text("utf-8"))
    for name, value in settings_of(variant).items():
        if name.startswith(HOST_JSON_OVERRIDE):
            *path, last = name.removeprefix(HOST_JSON_OVERRIDE).split("__")
            section = host
            for part in path:
                section = section.setdefault(part, {})
            section[last] = int(value) if value.isdigit() else value
    return host


def activities_at_once(variant: str) -> int:
    return host_json(variant)["extensions"]["durableTask"]["maxConcurrentActivityFunctions"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_role_and_each_kind_of_resource_is_one_the_code_needs(variant: str) -> None:
    found = deployed(variant)
    roles, kinds = dict(ROLES), set(KINDS)
    if variant.startswith("containers"):
        roles |= CONTAINER_ROLES
        kinds |= CONTAINER_KINDS if "before" not in variant else CONTAINER_KINDS - {"Microsoft.App/containerApps"}
    else:
        kinds |= FLEX_KINDS
    if "scheduler" in variant:
        roles |= SCHEDULER_ROLES
        kinds |= SCHEDULER_KINDS
    assert {each.type for each in found.resources} == kinds
    assigned = found.all("Microsoft.Authorization/roleAssignments")
    assert {
        each.properties["roleDefinitionId"].rpartition("/")[2]: each.properties["description"] for each in assigned
    } == roles
    assert {each.properties["principalId"] for each in assigned} == {"[identity.properties.principalId]"}
    # On one resource each, never on the group or the subscription.
    assert {each.body["scope"] for each in assigned} <= {"[account]", "[vault]", "[registry]", "[scheduler]"}
    assert len({each.name for each in assigned}) == len(assigned)


@pytest.mark.parametrize("variant", SERVED)
def test_each_setting_is_known_valid_and_none_is_missing(variant: str) -> None:
    found = settings_of(variant)
    own = {field.alias or name.upper() for name, field in Settings.model_fields.items()}
    assert {name for name in found if not name.startswith(HOST_JSON_OVERRIDE)} <= own | FOREIGN_SETTINGS.keys()
    assert found.keys() >= WITHOUT_A_DEFAULT_FOR_THE_CLOUD.keys()
    Settings.model_validate({name: value for name, value in found.items() if name in own})
    by_name = json.dumps(indexed()["blobs"]) + (ROOT / "host.json").read_text("utf-8")
    assert set(re.findall(r"%(\w+)%", by_name)) <= found.keys()
    assert ("FUNCTIONS_WORKER_RUNTIME" in found) is variant.startswith("containers")


@pytest.mark.parametrize("variant", SERVED)
def test_no_account_key_is_used_anywhere(variant: str) -> None:
    account = deployed(variant).one("Microsoft.Storage/storageAccounts").properties
    assert account["allowSharedKeyAccess"] is account["allowBlobPublicAccess"] is False
    found = settings_of(variant)
    assert not {"AzureWebJobsStorage", "AZURE_ACCOUNT_NAME", "AZURE_ACCOUNT_KEY"} & found.keys()
    for file in INFRA.rglob("*.bicep"):
        assert re.findall(r"listKeys\('([^']*)'", file.read_text("utf-8")) in ([], ["${app.id}/host/default"])


async def test_with_these_settings_app_and_worker_reach_the_account_by_its_identity(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in os.environ if name.startswith("AzureWebJobsStorage")]:
        monkeypatch.delenv(name)
    # Endpoints as Azure gives them.
    known = {
        "[account.properties.primaryEndpoints.blob]": "blob",
        "[account.properties.primaryEndpoints.table]": "table",
    }
    values = settings_of("flex")
    account = values["AzureWebJobsStorage__accountName"]
    for name, value in values.items():
        monkeypatch.setenv(name, f"https://{account}.{known[value]}.core.windows.net/" if value in known else value)
    binding = service_client_factory("AzureWebJobsStorage")
    assert (binding.url, type(binding.credential).__name__) == (
        f"https://{account}.blob.core.windows.net/",
        "ManagedIdentityCredential",
    )
    ours = connect(Settings())
    assert (ours.account_name, ours.account_key, ours.blobs.account_name) == (account, "", account)
    assert ours.artifacts.url == f"https://{account}.blob.core.windows.net/maid-artifacts"
    assert ours.tables.get_table_client("jobs").url == f"https://{account}.table.core.windows.net"
    await ours.close()


def test_containers_are_those_of_the_settings_and_their_defaults() -> None:
    found = deployed("flex")
    named = {each.name for each in found.all("Microsoft.Storage/storageAccounts/blobServices/containers")}
    settings = settings_of("flex")
    defaults = Settings.model_fields
    for setting in ("AZURE_CONTAINER", "GRAPHS_CONTAINER", "UPLOADS_CONTAINER", "IMPORTS_CONTAINER"):
        assert settings[setting] == defaults[setting.lower()].default
        named.remove(settings[setting])
    assert named == {"packages"}
    assert settings["TASK_HUB_NAME"] == defaults["task_hub_name"].default
    assert app_of("flex").properties["functionAppConfig"]["deployment"]["storage"]["value"].endswith("packages")


def test_browsers_may_do_the_same_as_with_the_local_storage() -> None:
    class Recorder:
        rules: list[Any]

        def set_service_properties(self, cors: list[Any]) -> None:
            self.rules = cors

    local = Recorder()
    prepare(local, [], ORIGINS.split(","))  # pyright: ignore[reportArgumentType]
    [rule] = deployed("flex").one("Microsoft.Storage/storageAccounts/blobServices").properties["cors"]["corsRules"]
    [ours] = local.rules
    assert {name: rule[name] for name in rule if name != "maxAgeInSeconds"} == {
        "allowedOrigins": ours.allowed_origins.split(","),
        "allowedMethods": ours.allowed_methods.split(","),
        "allowedHeaders": ours.allowed_headers.split(","),
        "exposedHeaders": ours.exposed_headers.split(","),
    }
    assert app_of("flex").properties["siteConfig"]["cors"]["allowedOrigins"] == ORIGINS.split(",")
    ingress = app_of("containers").properties["configuration"]["ingress"]
    assert ingress["corsPolicy"]["allowedOrigins"] == ORIGINS.split(",")


def test_old_uploads_go_and_results_stay_unless_a_time_is_given() -> None:
    def rules(variant: str) -> dict[str, tuple[list[str], dict[str, Any]]]:
        policy = deployed(variant).one("Microsoft.Storage/storageAccounts/managementPolicies").properties["policy"]
        definitions = [each["definition"] for each in policy["rules"]]
        return {
            rule["name"]: (each["filters"]["prefixMatch"], each["actions"]["baseBlob"])
            for rule, each in zip(policy["rules"], definitions, strict=True)
        }

    uploads = (["uploads/", "imports/"], {"delete": {"daysAfterModificationGreaterThan": 30}})
    cool = (["maid-artifacts/"], {"tierToCool": {"daysAfterModificationGreaterThan": 30}})
    assert rules("flex") == {"delete-uploads": uploads, "cool-artifacts": cool}
    gone = (["maid-artifacts/"], {"delete": {"daysAfterModificationGreaterThan": 365}})
    assert rules("with everything") == {"delete-uploads": uploads, "cool-artifacts": cool, "delete-artifacts": gone}


def test_each_blob_function_is_told_of_its_uploads_and_nothing_else_is() -> None:
    paths: dict[str, str] = {name: each["path"] for name, each in indexed()["blobs"].items()}
    assert set(paths) == {name for name, trigger in FUNCTIONS.items() if trigger == "blobTrigger"}
    settings = settings_of("flex")
    told: dict[str, tuple[str, str]] = {}
    for each in events().all("Microsoft.EventGrid/systemTopics/eventSubscriptions"):
        url = each.properties["destination"]["properties"]["endpointUrl"]
        [name] = re.findall(r"/runtime/webhooks/blobs\?functionName=Host\.Functions\.(\w+)&code=\[keys\(", url)
        chosen = each.properties["filter"]
        assert chosen["includedEventTypes"] == ["Microsoft.Storage.BlobCreated"]
        told[name] = (chosen["subjectBeginsWith"], chosen["subjectEndsWith"])
    expected: dict[str, tuple[str, str]] = {}
    for name, path in paths.items():
        container, _, rest = re.sub(r"%(\w+)%", lambda found: settings[found[1]], path).partition("/")
        expected[name] = (f"/blobServices/default/containers/{container}/blobs/", rest.rpartition("}")[2])
    assert told == expected


def test_flex_instances_hold_what_runs_on_them() -> None:
    app, settings = app_of("flex"), settings_of("flex")
    scale = app.properties["functionAppConfig"]["scaleAndConcurrency"]
    assert scale["instanceMemoryMB"] == 4096
    # The host, the worker and the process that children are forked from.
    assert activities_at_once("flex") * int(settings["CHILD_MEMORY_MB"]) + 1024 <= scale["instanceMemoryMB"]
    # 0.8 GB of temporary disk; whoever uploads more is told so before.
    assert disk_needed(int(settings["MAX_PRESIGNED_UPLOAD_SIZE"])) <= 0.8e9
    # Where no instance of the blob group runs, nothing makes the webhook that events are sent to.
    ready = {each["name"]: each["instanceCount"] for each in scale["alwaysReady"]}
    assert ready.keys() <= {"http", "durable", "blob"} and ready["blob"] >= 1
    # The quota of a region.
    assert scale["maximumInstanceCount"] * scale["instanceMemoryMB"] <= 512_000
    assert app.properties["functionAppConfig"]["runtime"] == {"name": "python", "version": "{}.{}".format(*RUNTIME)}


def test_replicas_hold_what_runs_on_them_and_finish_a_slice_when_they_are_told_to_go() -> None:
    template, settings = app_of("containers").properties["template"], settings_of("containers")
    [container] = template["containers"]
    memory = int(container["resources"]["memory"].removesuffix("Gi")) * 1024
    assert activities_at_once("containers") * int(settings["CHILD_MEMORY_MB"]) + 1024 <= memory
    assert activities_at_once("containers") * int(settings["TRAINING_THREADS"]) <= container["resources"]["cpu"]
    assert template["terminationGracePeriodSeconds"] > Settings().training_slice_seconds
    assert template["scale"]["minReplicas"] >= 1
    waiting = next(rule["custom"] for rule in template["scale"]["rules"] if "custom" in rule)
    assert waiting["metadata"]["queueName"] == f"{settings['TASK_HUB_NAME'].lower()}-workitems"
    assert waiting["metadata"]["queueLength"] == str(activities_at_once("containers"))


@pytest.mark.parametrize("variant", SERVED)
def test_the_function_timeout_fits_slices_and_every_plan(variant: str) -> None:
    hours, minutes, seconds = map(int, host_json(variant)["functionTimeout"].split(":"))
    slice_seconds = int(settings_of(variant).get("TRAINING_SLICE_SECONDS", Settings().training_slice_seconds))
    # Ten minutes are the most of the smallest plan; a slice that hangs is ended by the app, not by the host.
    assert slice_seconds + LATE_SECONDS < hours * 3600 + minutes * 60 + seconds <= 600


@pytest.mark.parametrize("variant", ["flex", "containers"])
def test_durable_state_is_kept_where_the_parameter_says(variant: str) -> None:
    assert "type" not in host_json(variant)["extensions"]["durableTask"]["storageProvider"]
    chosen = f"{variant} with scheduler"
    provider = host_json(chosen)["extensions"]["durableTask"]["storageProvider"]
    assert provider["type"] == "azureManaged"
    assert provider["connectionStringName"] in settings_of(chosen)


async def test_a_key_that_the_vault_did_not_give_is_no_key() -> None:
    reference = settings_of("flex")["ASPNET_JWT_KEY"]
    assert reference.startswith("@Microsoft.KeyVault(SecretUri=")
    settings = Settings(aspnet_jwt_key=reference)  # pyright: ignore[reportArgumentType]
    assert settings.aspnet_jwt_key.get_secret_value() == ""
    with pytest.raises(Unauthorized, match="not configured"):
        await authenticate(f"Bearer {bearer(key=reference)}", settings, KeySet(""))


def test_a_deployment_without_a_key_leaves_the_one_in_the_vault() -> None:
    found = deploy(INFRA / "main.bicep", {**GIVEN, "signingKey": ""})
    assert found.all("Microsoft.KeyVault/vaults/secrets") == []
    assert len(deployed("flex").all("Microsoft.KeyVault/vaults/secrets")) == 1


def test_alerts_ask_for_functions_that_exist() -> None:
    queries = " ".join(
        each.properties["criteria"]["allOf"][0]["query"]
        for each in deployed("flex").all("Microsoft.Insights/scheduledQueryRules")
    )
    named = {name for group in re.findall(r"name in \(([^)]*)\)", queries) for name in re.findall(r'"(\w+)"', group)}
    assert named and named <= FUNCTIONS.keys()
    receivers = deployed("with everything").one("Microsoft.Insights/actionGroups").properties["emailReceivers"]
    assert [each["emailAddress"] for each in receivers] == ["me@example.org"]


def test_azd_finds_the_app_the_parameters_and_the_template_of_events() -> None:
    project = yaml.safe_load((ROOT / "azure.yaml").read_text("utf-8"))
    [(name, service)] = project["services"].items()
    assert service == {"project": ".", "language": "python", "host": "function"}
    assert app_of("flex").body["tags"]["azd-service-name"] == name
    given = json.loads((INFRA / "main.parameters.json").read_text("utf-8"))["parameters"]
    declared = Template(INFRA / "main.bicep").declared["parameter"]
    assert given.keys() <= declared.keys()
    assert {name for name, each in declared.items() if each.value is None} <= given.keys()
    parameters = Template(INFRA / "events.bicep").declared["parameter"]
    for hook in project["hooks"]["postdeploy"].values():
        assert "--template-file infra/events.bicep" in hook["run"]
        passed = dict(re.findall(r"(\w+)=\S*?\b([A-Z_]+)\b", hook["run"]))
        assert passed.keys() == {name for name, each in parameters.items() if each.value is None}
        assert set(passed.values()) <= deployed("flex").outputs.keys()


def test_the_image_holds_the_app_runs_as_nobody_special_and_listens_where_it_is_asked() -> None:
    lines = (INFRA / "Dockerfile").read_text("utf-8").replace("\\\n", " ").splitlines()
    steps = [tuple(line.split(None, 1)) for line in lines if line and not line.startswith("#")]
    [base] = [rest for step, rest in steps if step == "FROM"]
    assert base.endswith(":4-python{}.{}".format(*RUNTIME))
    copied = {source for step, rest in steps if step == "COPY" for source in rest.split()[:-1]}
    # What is installed comes from the lock, with its hashes.
    wanted = {*APP, APP_LOCK}
    assert copied == wanted
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert ignored[1] == "*" and {line[1:] for line in ignored if line.startswith("!")} == wanted
    words = [word for word, _ in steps]
    [user] = [rest for step, rest in steps if step == "USER"]
    assert int(user) > 0 and "RUN" not in words[words.index("USER") :]
    port = app_of("containers").properties["configuration"]["ingress"]["targetPort"]
    assert ("EXPOSE", str(port)) in steps and port >= 1024
    assert any(step == "ENV" and f"ASPNETCORE_URLS=http://+:{port}" in rest for step, rest in steps)
