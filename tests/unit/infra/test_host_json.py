"""host.json, as it is and as the settings of each deployment change it, against what the documentation allows.

There is no package that carries a schema; these models are the documented keys, types and ranges of the sections
that we use. A key that is not among them is an error: the real host passes over it without a word.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from core.base.settings import Settings
from tests.unit.infra.test_deployment import SERVED, host_json

ROOT = Path(__file__).resolve().parents[3]

Span = Annotated[str, StringConstraints(pattern=r"^(\d+\.)?\d{2}:\d{2}:\d{2}$")]
Count = Annotated[int, Field(ge=1, strict=True)]
Limit = Annotated[int, Field(ge=-1, strict=True)]
Level = Literal["Trace", "Debug", "Information", "Warning", "Error", "Critical", "None"]
TELEMETRY = "Dependency|Event|Exception|PageView|Request|Trace"
Types = Annotated[str, StringConstraints(pattern=rf"^({TELEMETRY})(;({TELEMETRY}))*$")]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)


class Bundle(Section):
    id: Literal["Microsoft.Azure.Functions.ExtensionBundle"]
    version: Annotated[str, StringConstraints(pattern=r"^\[\d+\.(\*|\d+\.\d+), \d+\.\d+\.\d+\)$")]


class Http(Section):
    route_prefix: str = "api"
    max_outstanding_requests: Limit = -1
    max_concurrent_requests: Limit = -1
    dynamic_throttles_enabled: bool = False


class StorageProvider(Section):
    type: Literal["AzureStorage", "azureManaged"] = "AzureStorage"
    connection_string_name: str = "AzureWebJobsStorage"
    partition_count: Annotated[int, Field(ge=1, le=16, strict=True)] = 4
    control_queue_batch_size: Annotated[int, Field(ge=1, le=32, strict=True)] = 32
    max_queue_polling_interval: Span = "00:00:30"


class Tracing(Section):
    trace_inputs_and_outputs: bool = False
    trace_replay_events: bool = False
    distributed_tracing_enabled: bool = False
    version: Literal["None", "V1", "V2"] = "V1"


class DurableTask(Section):
    hub_name: str
    max_concurrent_activity_functions: Count
    max_concurrent_orchestrator_functions: Count
    storage_provider: StorageProvider = StorageProvider()
    tracing: Tracing = Tracing()


class Blobs(Section):
    max_degree_of_parallelism: Count
    poison_blob_threshold: Count


class Extensions(Section):
    http: Http
    durable_task: DurableTask
    blobs: Blobs


class Sampling(Section):
    is_enabled: bool
    max_telemetry_items_per_second: Annotated[float, Field(gt=0)] = 20
    excluded_types: Types | None = None
    included_types: Types | None = None


class ApplicationInsights(Section):
    sampling_settings: Sampling
    enable_live_metrics: bool = True


class Logging(Section):
    log_level: dict[str, Level]
    application_insights: ApplicationInsights


class HostFile(Section):
    version: Literal["2.0"]
    function_timeout: Span | Literal["-1"]
    telemetry_mode: Literal["OpenTelemetry"] | None = None
    extension_bundle: Bundle
    extensions: Extensions
    logging: Logging


def written() -> dict[str, Any]:
    return json.loads((ROOT / "host.json").read_text("utf-8"))


def test_host_json_says_only_what_is_documented() -> None:
    found = HostFile.model_validate(written())
    assert found.extensions.durable_task.hub_name == "%TASK_HUB_NAME%"
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9]{2,44}", Settings.model_fields["task_hub_name"].default)


@pytest.mark.parametrize("variant", SERVED)
def test_what_deployments_change_in_it_is_documented_too(variant: str) -> None:
    changed = HostFile.model_validate(host_json(variant)).extensions.durable_task
    hours, minutes, seconds = map(int, changed.storage_provider.max_queue_polling_interval.split(":"))
    # The documentation's advice for plans whose instances come and go; a scheduler is not polled.
    assert changed.storage_provider.type == "azureManaged" or hours * 3600 + minutes * 60 + seconds <= 10


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("durableTask", "maxConcurrentActivityFunction", 1),
        ("durableTask", "maxConcurrentActivityFunctions", "1"),
        ("durableTask", "storageProvider", {"partitionCount": 17}),
        ("blobs", "poisonBlobThreshold", 0),
        ("http", "routePrefix", None),
    ],
)
def test_a_misspelt_key_or_a_value_out_of_range_is_found(section: str, key: str, value: Any) -> None:
    host = written()
    host["extensions"][section][key] = value
    with pytest.raises(ValidationError):
        HostFile.model_validate(host)
