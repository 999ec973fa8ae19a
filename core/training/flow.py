"""The orchestrator of a training and its activities: prepare, slice after slice, finish.

The orchestrator passes ids only; everything else lies in Table and Blob Storage. Custom status and
outputs are short sentences for the Portal.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from core.base import telemetry
from core.base.clients import storage
from core.base.errors import BadRequest, NoRoom
from core.jobs.start import ORCHESTRATION
from core.keras_worker.errors import (
    ChildDied,
    ChildFailed,
    ChildOutOfMemory,
    ChildTimedOut,
    Refused,
    sentences,
)
from core.keras_worker.shared import shared_pool
from core.training.run import Run, Step

log = logging.getLogger(__name__)
blueprint = func.Blueprint()

# Storage that is away for a minute costs a training nothing but that minute.
_RETRY = df.RetryOptions(first_retry_interval_in_milliseconds=5_000, max_number_of_attempts=15)

# The history is read again at each step: after so many slices the orchestration goes on with a new one.
SLICES_PER_EXECUTION = 50

_INTERNAL = "Training failed: something went wrong on our side. Start the training again."


class ActivityFailed(Exception):
    """An activity failed for a reason that lies with us; its text stays in the orchestration's history."""


@blueprint.orchestration_trigger(context_name="context", orchestration=ORCHESTRATION)
def train(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    task: Any = context.get_input()
    job = {"owner": task["owner"], "job": task["job"]}
    try:
        if task.get("prepared"):
            step = {"outcome": "continue", "status": "The training goes on"}
        else:
            context.set_custom_status("The dataset is being read")
            step = yield context.call_activity_with_retry("prepare_training", _RETRY, job)
        slices = 0
        while step["outcome"] in ("continue", "done"):
            if slices == SLICES_PER_EXECUTION:
                context.continue_as_new({**job, "prepared": True})
                return None
            # A finish that another one took over from says "continue": the next slice finds the training
            # done, and it is finished again.
            activity = "finish_training" if step["outcome"] == "done" else "train_slice"
            context.set_custom_status(step["status"])
            step = yield context.call_activity_with_retry(activity, _RETRY, job)
            slices += 1
    # The SDK raises a bare Exception for an activity that failed for good.
    except Exception:
        step = yield context.call_activity_with_retry("fail_training", _RETRY, job)
    context.set_custom_status(step["status"])
    return step["outcome"]


@blueprint.activity_trigger(input_name="task")
async def prepare_training(task: dict[str, str], context: func.Context) -> dict[str, str]:
    return await _activity(task, context, Run.prepare)


@blueprint.activity_trigger(input_name="task")
async def train_slice(task: dict[str, str], context: func.Context) -> dict[str, str]:
    return await _activity(task, context, Run.slice)


@blueprint.activity_trigger(input_name="task")
async def finish_training(task: dict[str, str], context: func.Context) -> dict[str, str]:
    return await _activity(task, context, Run.finish)


@blueprint.activity_trigger(input_name="task")
async def fail_training(task: dict[str, str], context: func.Context) -> dict[str, str]:
    return await _activity(task, context, _give_up)


async def _give_up(run: Run) -> Step:
    return await _fail(run, ActivityFailed(), _INTERNAL)


async def _activity(
    task: dict[str, str], context: func.Context, work: Callable[[Run], Awaitable[Step]]
) -> dict[str, str]:
    """Run a step. What the user can mend ends the job at once; what may pass by itself is raised."""
    run = Run(storage(), shared_pool(), task["owner"], task["job"])
    with telemetry.bound(job=task["job"], owner=task["owner"], invocation=context.invocation_id or ""):
        try:
            return (await _ended_by_user_error(run, work)).as_dict()
        except Exception as error:
            log.exception("an activity failed")
            raise ActivityFailed(f"{type(error).__name__}; see the log of job {task['job']}") from None


async def _ended_by_user_error(run: Run, work: Callable[[Run], Awaitable[Step]]) -> Step:
    try:
        return await work(run)
    except BadRequest as error:
        return await _fail(run, error, f"Training failed: {error.sentence}")
    except NoRoom as error:
        return await _fail(run, error, f"Training failed: {error.detail}")
    except Refused as refusal:
        return await _fail(run, refusal, _refusal(refusal))
    except ChildFailed as failure:
        log.warning("Keras failed: %s", failure.detail)
        return await _fail(run, failure, f"Training failed: {failure}")
    except ChildOutOfMemory as error:
        return await _fail(
            run,
            error,
            "Training failed: it needs more memory than one training may have (CHILD_MEMORY_MB)."
            " Use a smaller network, a smaller batch size or fewer rows.",
        )
    except ChildTimedOut as error:
        return await _fail(
            run, error, "Training failed: one batch takes too long; use a smaller network or batch size."
        )
    except ChildDied as error:
        return await _fail(
            run,
            error,
            "Training failed: the process that trains it ended unexpectedly several times in a row."
            " Start it again; if it fails again, try a smaller network or batch size.",
        )


async def _fail(run: Run, reason: Exception, sentence: str) -> Step:
    # The sentence may hold the user's words: the row has it, the log has its kind.
    log.warning("the training failed: %s", type(reason).__name__)
    return await run.fail(sentence)


def _refusal(refusal: Refused) -> str:
    text = "; ".join(sentences(refusal.problems))
    is_graph = isinstance(refusal.problems, dict) and refusal.problems.keys() & {"nodes", "edges"}
    return f"{'Model build failed' if is_graph else 'Training failed'}: {text}"
