"""The orchestrator of an export and its two activities. It passes ids only."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from core.base import telemetry
from core.base.clients import storage
from core.keras_worker.shared import shared_pool
from core.serving.export_run import ExportRun
from core.serving.exports import ORCHESTRATION

log = logging.getLogger(__name__)
blueprint = func.Blueprint()

# Storage that is away for a minute costs an export nothing but that minute.
_RETRY = df.RetryOptions(first_retry_interval_in_milliseconds=5_000, max_number_of_attempts=15)

_STATUS = {
    "ready": "The export is ready",
    "failed": "The export has failed",
    "superseded": "A later attempt has taken over",
}
_INTERNAL = "Something went wrong on our side; ask for the export again."


class ExportActivityFailed(Exception):
    """An activity failed for a reason that lies with us; its text stays in the orchestration's history."""


@blueprint.orchestration_trigger(context_name="context", orchestration=ORCHESTRATION)
def export_model(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    task: Any = context.get_input()
    try:
        outcome = "continue"
        while outcome == "continue":
            outcome = yield context.call_activity_with_retry("write_export", _RETRY, task)
    # The SDK raises a bare Exception for an activity that failed for good.
    except Exception:
        outcome = yield context.call_activity_with_retry("fail_export", _RETRY, task)
    context.set_custom_status(_STATUS[outcome])
    return outcome


@blueprint.activity_trigger(input_name="task")
async def write_export(task: dict[str, str], context: func.Context) -> str:
    return await _activity(task, context, ExportRun.write)


@blueprint.activity_trigger(input_name="task")
async def fail_export(task: dict[str, str], context: func.Context) -> str:
    return await _activity(task, context, lambda run: run.fail(_INTERNAL))


async def _activity(task: dict[str, str], context: func.Context, work: Callable[[ExportRun], Awaitable[str]]) -> str:
    """Run a step. What the person can mend ends the export inside it; what may pass by itself is raised."""
    with telemetry.bound(job=task["job"], owner=task["owner"], invocation=context.invocation_id or ""):
        try:
            return await work(ExportRun(storage(), shared_pool(), task["owner"], task["job"]))
        except Exception as error:
            log.exception("an activity failed")
            raise ExportActivityFailed(f"{type(error).__name__}; see the log of export {task['job']}") from None
