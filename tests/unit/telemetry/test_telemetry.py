"""What operators see: fields on log records, metrics and spans of a real training, and nothing where nobody asked."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from azure.functions import Context, HttpRequest

from core.base import telemetry
from core.base.api import _answer
from core.base.blobs import write_blob
from core.base.clients import Storage as Clients
from core.base.clients import connect
from core.base.clock import newest_first_id, now, timestamp
from core.catalog.api import routes as catalogue
from core.graphs.schema import check_graph
from core.jobs.job import Job
from core.jobs.start import Startable
from core.jobs.states import Status
from core.jobs.store import JobStore
from core.keras_worker.pool import ChildPool, PoolOptions
from core.serving.predictor import Predictor
from core.training.graph_copy import write_graph
from core.training.parameters import parse_parameters
from core.training.run import Run
from core.uploads.arrival import dataset_arrived, dataset_name
from tests.harness import Storage, classifier, two_class_training, two_classes
from tests.unit.telemetry.conftest import Seen

ROOT = Path(__file__).resolve().parents[3]


class NoOrchestrations:
    """The test calls the activities itself."""

    async def start(self, job: Startable) -> None: ...

    async def exists(self, job: Startable) -> bool:
        return True


@pytest.fixture
async def clients(storage: Storage, tmp_path: Path) -> AsyncIterator[Clients]:
    chosen = storage.settings().model_copy(update={"work_dir": tmp_path})
    connected = connect(chosen)
    yield connected
    await connected.close()


async def started_job(clients: Clients, content: bytes) -> Job:
    graph, at, job_id = classifier(), timestamp(now()), newest_first_id()
    params = parse_parameters(two_class_training(), clients.settings).model_dump(mode="json")
    name = dataset_name("owner", job_id)
    job = Job("owner", job_id, "graph", params, at, at, dataset_path=name, trace=telemetry.traceparent())
    await write_graph(clients, job, check_graph(graph["nodes"], graph["edges"]))
    await write_blob(clients.uploads, name, content, "text/csv")
    return await dataset_arrived(clients, NoOrchestrations(), await JobStore(clients).create(job))


async def test_a_training_is_measured_and_its_spans_hang_below_the_call_that_made_it(
    clients: Clients, seen: Seen, caplog: pytest.LogCaptureFixture
) -> None:
    with telemetry.span("POST presign-upload"):
        job = await started_job(clients, two_classes())
    pool = ChildPool(PoolOptions(start="fork", keep=1))
    try:
        with caplog.at_level(logging.INFO), telemetry.bound(job=job.id, owner=job.owner, invocation="one"):
            for step in (Run.prepare, Run.slice, Run.finish):
                await step(Run(clients, pool, job.owner, job.id))
            asked = json.dumps({"instances": [[0.1, 0.2]] * 30}).encode()
            assert await Predictor(clients, pool).predict(job.owner, job.id, asked, table=False)
    finally:
        await pool.close()
    assert (await JobStore(clients).get(job.owner, job.id)).status is Status.SUCCEEDED

    spans = seen.spans
    call = spans["POST presign-upload"].context
    for name, number in (("training: reading the dataset", 0), ("training: training", 1), ("training: evaluating", 1)):
        parent = spans[name].parent
        assert call is not None
        assert parent is not None
        assert (parent.trace_id, parent.span_id) == (call.trace_id, call.span_id)
        assert dict(spans[name].attributes or {}) == {"job": job.id, "owner": "owner", "slice": number}

    metrics = seen.metrics
    entered = {attributes["state"]: count for attributes, count in metrics["jobs.entered"]}
    assert entered == {"queued": 1, "running": 1, "succeeded": 1}
    assert metrics["jobs.queue.duration"][0][1] > 0
    stages = {attributes["stage"]: attributes["outcome"] for attributes, _ in metrics["training.activity.duration"]}
    assert stages == {"Reading the dataset": "continue", "Training": "done", "Evaluating": "succeeded"}
    assert metrics["training.epochs.rate"][0][1] > 0
    memory = {attributes["command"]: size for attributes, size in metrics["child.memory"]}
    assert memory.keys() == {"prepare", "train", "finish"}
    assert memory["train"] > 10_000_000
    assert metrics["prediction.duration"][0][0] == {"rows": 10}
    assert metrics["prediction.duration"][0][1] > 0
    assert metrics["checkpoint.size"][0][1] > 100
    assert metrics["checkpoint.upload.duration"][0][1] > 0

    [record] = [record for record in caplog.records if record.getMessage().startswith("Training: Epoch 3 of 3")]
    assert call is not None
    trace = f"{call.trace_id:032x}"
    fields = {name: getattr(record, name) for name in telemetry.FIELDS}
    assert fields == {"job": job.id, "owner": "owner", "slice": "1", "invocation": "one", "trace": trace}
    assert record.getMessage().endswith(f"[job={job.id} owner=owner slice=1 invocation=one trace={trace}]")


async def test_a_refused_upload_is_counted_by_its_reason(clients: Clients, seen: Seen) -> None:
    job = await started_job(clients, b"%PDF-1.7 and so on")
    assert job.status is Status.FAILED
    assert seen.metrics["uploads.rejected"] == [({"reason": "another format"}, 1)]


async def test_an_answer_is_measured_by_route_method_and_status(seen: Seen) -> None:
    [layers] = [each for each in catalogue.operations if each.path == "api/network/layers"]
    context = cast(Context, SimpleNamespace(invocation_id="one", trace_context=None))
    for method in ("GET", "POST"):
        await _answer(HttpRequest(method, "/api/network/layers", body=b""), context, {"GET": layers}, None)
    told = [attributes for attributes, _ in seen.metrics["api.request.duration"]]
    route = {"route": "api/network/layers"}
    assert told == [{**route, "method": "GET", "status": 200}, {**route, "method": "POST", "status": 405}]


def test_fields_end_with_their_block_and_an_inner_block_adds_to_the_outer(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("core.somewhere")
    with caplog.at_level(logging.INFO):
        with telemetry.bound(job="j"):
            with telemetry.bound(slice="2", trace=""):
                log.info("%d%% done", 50)
            log.info("outer")
        log.info("outside")
        logging.getLogger("azure.somewhere").info("theirs")
    assert [record.getMessage() for record in caplog.records] == [
        "50% done [job=j slice=2]",
        "outer [job=j]",
        "outside",
        "theirs",
    ]


def test_without_a_connection_string_nothing_that_sends_is_imported() -> None:
    """The SDKs of Azure and of Durable Functions import its interface where it is installed, without effect."""
    code = """
import sys
import function_app
from core.base import telemetry
telemetry.record("jobs.entered", 1, kind="training job", state="queued")
with telemetry.span("nothing"):
    assert telemetry.traceparent() == ""
print([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "azure.monitor"))])
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_with_a_connection_string_the_exporters_of_application_insights_are_set_up() -> None:
    """Nothing is sent: the process ends by `os._exit` before the first interval."""
    code = """
import os, sys
from core.base import telemetry
with telemetry.span("something"):
    print(len(telemetry.traceparent()), "azure.monitor.opentelemetry.exporter" in sys.modules, flush=True)
os._exit(0)
"""
    key = "00000000-0000-0000-0000-000000000000"
    connection = f"InstrumentationKey={key};IngestionEndpoint=http://127.0.0.1:9/"
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={"APPLICATIONINSIGHTS_CONNECTION_STRING": connection, "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true"},
    )
    assert run.stdout.split() == ["55", "True"], run.stderr
