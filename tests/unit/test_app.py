"""The app as a host sees it before the first call: what importing it loads, which functions it has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import function_app
from core.base.api import ANY
from core.base.settings import Settings
from devtools.backend import default_origins
from tests.access import ACCESS, Admin, Lists, Makes, Open, Own

ROOT = Path(__file__).resolve().parents[2]

# Real hosts fail silently when indexing fails: a function that is missing here is missing in the cloud.
HTTP_FUNCTIONS = [
    "activations",
    "activations_name",
    "activations_refresh_manifest",
    "activations_regenerate_manifest",
    "activations_specs",
    "api_docs",
    "api_openapi_json",
    "graphs",
    "graphs_compile",
    "graphs_export_script",
    "graphs_graph_id",
    "graphs_graph_id_compile",
    "graphs_graph_id_export_script",
    "graphs_graph_id_presign_upload",
    "graphs_graph_id_train",
    "graphs_import_keras_json",
    "graphs_import_model",
    "health",
    "import_jobs",
    "import_jobs_job_id",
    "import_jobs_job_id_cancel",
    "import_jobs_job_id_create_graph",
    "import_jobs_job_id_start",
    "import_jobs_presign_upload",
    "layers",
    "layers_name",
    "layers_refresh_manifest",
    "layers_regenerate_manifest",
    "layers_specs",
    "losses",
    "losses_name",
    "losses_refresh_manifest",
    "losses_regenerate_manifest",
    "losses_specs",
    "metrics",
    "metrics_name",
    "metrics_refresh_manifest",
    "metrics_regenerate_manifest",
    "metrics_specs",
    "optimizers",
    "optimizers_name",
    "optimizers_refresh_manifest",
    "optimizers_regenerate_manifest",
    "optimizers_specs",
    "presets",
    "presets_preset_id",
    "snapshots",
    "snapshots_snapshot_id",
    "snapshots_snapshot_id_restore",
    "training_jobs",
    "training_jobs_job_id",
    "training_jobs_job_id_artifact",
    "training_jobs_job_id_batch_predictions",
    "training_jobs_job_id_batch_predictions_batch_id",
    "training_jobs_job_id_batch_predictions_batch_id_cancel",
    "training_jobs_job_id_batch_predictions_batch_id_start",
    "training_jobs_job_id_cancel",
    "training_jobs_job_id_export",
    "training_jobs_job_id_predict",
    "training_jobs_job_id_start",
    "unknown_path",
]
FUNCTIONS = dict.fromkeys(HTTP_FUNCTIONS, "httpTrigger") | {
    "export_model": "orchestrationTrigger",
    "fail_export": "activityTrigger",
    "fail_batch": "activityTrigger",
    "fail_import": "activityTrigger",
    "fail_training": "activityTrigger",
    "finish_training": "activityTrigger",
    "import_model": "orchestrationTrigger",
    "on_dataset_uploaded": "blobTrigger",
    "on_model_uploaded": "blobTrigger",
    "on_rows_uploaded": "blobTrigger",
    "predict_batch": "orchestrationTrigger",
    "predict_slice": "activityTrigger",
    "prepare_training": "activityTrigger",
    "read_import": "activityTrigger",
    "train": "orchestrationTrigger",
    "train_slice": "activityTrigger",
    "upkeep_clean_up": "timerTrigger",
    "upkeep_start_lost": "timerTrigger",
    "write_export": "activityTrigger",
}

INDEX = """
import json, sys
import function_app
found = function_app.app.get_functions()
functions = {
    function.get_function_name(): next(
        binding.type for binding in function.get_bindings() if binding.type.endswith("Trigger")
    )
    for function in found
}
blobs = {
    function.get_function_name(): {"source": binding.source, "path": binding.path}
    for function in found
    for binding in function.get_bindings()
    if binding.type == "blobTrigger"
}
print(json.dumps({"functions": functions, "blobs": blobs, "modules": sorted(sys.modules)}))
"""


@cache
def indexed(**environment: str) -> dict[str, Any]:
    run = subprocess.run(
        [sys.executable, "-c", INDEX],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(run.stdout)


def test_indexing_finds_every_function_and_loads_neither_keras_nor_tensorflow() -> None:
    found = indexed()
    assert found["functions"] == FUNCTIONS
    heavy = {"keras", "tensorflow", "numpy", "h5py", "polars", "devhost"}
    assert not heavy & set(found["modules"])
    assert {blob["source"] for blob in found["blobs"].values()} == {"LogsAndContainerScan"}


def test_every_blob_trigger_listens_to_event_grid_where_the_setting_says_so_whatever_another_says() -> None:
    found = indexed(BLOB_TRIGGER_SOURCE="EventGrid", MAX_EPOCHS="many")
    blob_triggers = [name for name, trigger in FUNCTIONS.items() if trigger == "blobTrigger"]
    assert {name: blob["source"] for name, blob in found["blobs"].items()} == dict.fromkeys(blob_triggers, "EventGrid")


def test_every_route_stands_in_the_table_of_who_may_call_it() -> None:
    operations = {
        (operation.method, operation.path): operation
        for routes in function_app.ROUTES
        for operation in routes.operations
        if operation.method != ANY
    }
    assert operations.keys() == ACCESS.keys()
    for key, access in ACCESS.items():
        assert operations[key].anonymous == isinstance(access, Open), key
        assert operations[key].admin == isinstance(access, Admin), key
        if isinstance(access, Lists | Makes | Own):
            assert ("_id}" in key[1]) == isinstance(access, Own), key


def test_host_json_names_the_bundle_the_hub_and_a_timeout_above_a_slice() -> None:
    host = json.loads((ROOT / "host.json").read_text("utf-8"))
    assert host["extensionBundle"]["version"] == "[4.*, 5.0.0)"
    assert host["extensions"]["durableTask"]["hubName"] == "%TASK_HUB_NAME%"
    hours, minutes, seconds = map(int, host["functionTimeout"].split(":"))
    assert Settings().training_slice_seconds < hours * 3600 + minutes * 60 + seconds


def test_example_settings_hold_what_the_app_cannot_do_without_and_no_secret() -> None:
    example = json.loads((ROOT / "local.settings.example.json").read_text("utf-8"))
    required = {"AzureWebJobsStorage", "ASPNET_JWT_KEY", "TASK_HUB_NAME", "UPLOADS_CONTAINER", "IMPORTS_CONTAINER"}
    assert required <= example["Values"].keys()
    assert example["Values"]["ASPNET_JWT_KEY"] == ""


def test_the_example_lets_the_same_pages_call_as_dev_py_does() -> None:
    example = json.loads((ROOT / "local.settings.example.json").read_text("utf-8"))
    assert example["Host"] == {"CORS": default_origins(), "CORSCredentials": True}
