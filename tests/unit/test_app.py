"""The app as a host sees it before the first call: what importing it loads, which functions it has."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from core.base.settings import Settings

ROOT = Path(__file__).resolve().parents[2]

# Real hosts fail silently when indexing fails: a function that is missing here is missing in the cloud.
FUNCTIONS = {
    "fail_training": "activityTrigger",
    "finish_training": "activityTrigger",
    "graphs": "httpTrigger",
    "graphs_compile": "httpTrigger",
    "graphs_graph_id": "httpTrigger",
    "graphs_graph_id_compile": "httpTrigger",
    "graphs_graph_id_presign_upload": "httpTrigger",
    "health": "httpTrigger",
    "on_dataset_uploaded": "blobTrigger",
    "prepare_training": "activityTrigger",
    "train": "orchestrationTrigger",
    "train_slice": "activityTrigger",
    "training_jobs": "httpTrigger",
    "training_jobs_job_id": "httpTrigger",
    "training_jobs_job_id_artifact": "httpTrigger",
    "training_jobs_job_id_cancel": "httpTrigger",
    "training_jobs_job_id_predict": "httpTrigger",
    "training_jobs_job_id_start": "httpTrigger",
    "unknown_path": "httpTrigger",
}

INDEX = """
import json, sys
import function_app
functions = {
    function.get_function_name(): next(
        binding.type for binding in function.get_bindings() if binding.type.endswith("Trigger")
    )
    for function in function_app.app.get_functions()
}
print(json.dumps({"functions": functions, "modules": sorted(sys.modules)}))
"""


def indexed() -> dict[str, object]:
    run = subprocess.run([sys.executable, "-c", INDEX], cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


def test_indexing_finds_every_function_and_loads_neither_keras_nor_tensorflow() -> None:
    found = indexed()
    assert found["functions"] == FUNCTIONS
    heavy = {"keras", "tensorflow", "numpy", "polars", "devhost"}
    assert not heavy & set(found["modules"])  # pyright: ignore[reportArgumentType]


def test_host_json_names_the_bundle_the_hub_and_a_timeout_above_a_slice() -> None:
    host = json.loads((ROOT / "host.json").read_text("utf-8"))
    assert host["extensionBundle"]["version"] == "[4.*, 5.0.0)"
    assert host["extensions"]["durableTask"]["hubName"] == "%TASK_HUB_NAME%"
    hours, minutes, seconds = map(int, host["functionTimeout"].split(":"))
    assert Settings().training_slice_seconds < hours * 3600 + minutes * 60 + seconds


def test_example_settings_hold_what_the_app_cannot_do_without_and_no_secret() -> None:
    example = json.loads((ROOT / "local.settings.example.json").read_text("utf-8"))
    required = {"AzureWebJobsStorage", "ASPNET_JWT_KEY", "TASK_HUB_NAME", "UPLOADS_CONTAINER"}
    assert required <= example["Values"].keys()
    assert example["Values"]["ASPNET_JWT_KEY"] == ""
