"""The orchestrator of an import and its two activities. It passes ids only."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from core.base import telemetry
from core.base.clients import storage
from core.importing.reader import model_reader
from core.importing.run import ImportRun
from core.importing.start import ORCHESTRATION

log = logging.getLogger(__name__)
blueprint = func.Blueprint()

# Storage that is away for a minute costs an import nothing but that minute.
_RETRY = df.RetryOptions(first_retry_interval_in_milliseconds=5_000, max_number_of_attempts=15)

# For the Portal.
_ENDS = {
    "succeeded": "The model file is imported",
    "failed": "The import has failed; its job says why",
    "cancelled": "The import was cancelled",
}
_INTERNAL = "something went wrong on our side. Import the file again."


class ImportActivityFailed(Exception):
    """An activity failed for a reason that lies with us; its text stays in the orchestration's history."""


@blueprint.orchestration_trigger(context_name="context", orchestration=ORCHESTRATION)
def import_model(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    task: Any = context.get_input()
    context.set_custom_status("The model file is being read")
    try:
        outcome = yield context.call_activity_with_retry("read_import", _RETRY, task)
    # The SDK raises a bare Exception for an activity that failed for good.
    except Exception:
        outcome = yield context.call_activity_with_retry("fail_import", _RETRY, task)
    context.set_custom_status(_ENDS.get(outcome, "Another instance has taken over"))
    return outcome


@blueprint.activity_trigger(input_name="task")
async def read_import(task: dict[str, str], context: func.Context) -> str:
    return await _activity(task, context, ImportRun.read)


@blueprint.activity_trigger(input_name="task")
async def fail_import(task: dict[str, str], context: func.Context) -> str:
    return await _activity(task, context, lambda run: run.fail(_INTERNAL))


async def _activity(task: dict[str, str], context: func.Context, work: Callable[[ImportRun], Awaitable[str]]) -> str:
    """Run a step. What the user can mend ends the job inside it; what may pass by itself is raised."""
    with telemetry.bound(job=task["job"], owner=task["owner"], invocation=context.invocation_id or ""):
        try:
            return await work(ImportRun(storage(), model_reader(), task["owner"], task["job"]))
        except Exception as error:
            log.exception("an activity failed")
            raise ImportActivityFailed(f"{type(error).__name__}; see the log of import {task['job']}") from None
