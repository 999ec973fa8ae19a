"""The orchestrator of a batch and its activities: slice after slice. It passes ids only."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from core.base import telemetry
from core.base.clients import storage
from core.base.errors import BadRequest, NoRoom, NotFound
from core.keras_worker.errors import ChildDied, ChildFailed, ChildOutOfMemory, ChildTimedOut, Refused
from core.keras_worker.shared import shared_pool
from core.serving.batches.arrival import ORCHESTRATION
from core.serving.batches.run import BatchRun
from core.training.run import Step

log = logging.getLogger(__name__)
blueprint = func.Blueprint()

# Storage that is away for a minute costs a batch nothing but that minute.
_RETRY = df.RetryOptions(first_retry_interval_in_milliseconds=5_000, max_number_of_attempts=15)

# The history is read again at each step: after so many slices the orchestration goes on with a new one.
SLICES_PER_EXECUTION = 50

_INTERNAL = "Prediction failed: something went wrong on our side. Make the batch again."


class BatchActivityFailed(Exception):
    """An activity failed for a reason that lies with us; its text stays in the orchestration's history."""


@blueprint.orchestration_trigger(context_name="context", orchestration=ORCHESTRATION)
def predict_batch(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    task: Any = context.get_input()
    step = {"outcome": "continue"}
    try:
        for _ in range(SLICES_PER_EXECUTION):
            step = yield context.call_activity_with_retry("predict_slice", _RETRY, task)
            context.set_custom_status(step["status"])
            if step["outcome"] != "continue":
                return step["outcome"]
    # The SDK raises a bare Exception for an activity that failed for good.
    except Exception:
        step = yield context.call_activity_with_retry("fail_batch", _RETRY, task)
        context.set_custom_status(step["status"])
        return step["outcome"]
    context.continue_as_new(task)
    return None


@blueprint.activity_trigger(input_name="task")
async def predict_slice(task: dict[str, str], context: func.Context) -> dict[str, str]:
    return await _activity(task, context, BatchRun.slice)


@blueprint.activity_trigger(input_name="task")
async def fail_batch(task: dict[str, str], context: func.Context) -> dict[str, str]:
    return await _activity(task, context, lambda run: run.fail(_INTERNAL))


async def _activity(
    task: dict[str, str], context: func.Context, work: Callable[[BatchRun], Awaitable[Step]]
) -> dict[str, str]:
    """Run a step. What the user can mend ends the batch at once; what may pass by itself is raised."""
    run = BatchRun(storage(), shared_pool(), task["owner"], task["job"])
    with telemetry.bound(job=task["job"], owner=task["owner"], invocation=context.invocation_id or ""):
        try:
            return (await _ended_by_user_error(run, work)).as_dict()
        except Exception as error:
            log.exception("an activity failed")
            raise BatchActivityFailed(f"{type(error).__name__}; see the log of batch {task['job']}") from None


async def _ended_by_user_error(run: BatchRun, work: Callable[[BatchRun], Awaitable[Step]]) -> Step:
    try:
        return await work(run)
    except BadRequest as error:
        reason = error.sentence
    except (NotFound, NoRoom) as error:
        reason = error.detail
    except Refused as refusal:
        reason = str(refusal)
    except ChildFailed as failure:
        log.warning("Keras failed: %s", failure.detail)
        reason = str(failure)
    except ChildOutOfMemory:
        reason = "this network needs more memory for some rows than one child may have (CHILD_MEMORY_MB)."
    except ChildTimedOut:
        reason = "this network takes too long for a few rows; use a smaller one."
    except ChildDied:
        reason = "the process that predicts ended unexpectedly several times in a row. Make the batch again."
    return await run.fail(f"Prediction failed: {reason}")
