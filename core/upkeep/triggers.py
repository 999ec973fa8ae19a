"""The two timers. Their schedules stand here, since one that hangs on a setting stops with it unnoticed.

The host calls a timer on one instance at a time. Even two rounds at once do no harm: what they change,
they change by conditional writes, and what they delete is gone for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import azure.durable_functions as df
import azure.functions as func

from core.base import telemetry
from core.base.clients import storage
from core.base.clock import now
from core.jobs.start import DurableOrchestrations
from core.upkeep.round import Rule, run_round
from core.upkeep.rules import CLEAN_UP, START_LOST
from core.upkeep.turn import Means, Runs

blueprint = func.Blueprint()

_OVER = [
    df.OrchestrationRuntimeStatus.Completed,
    df.OrchestrationRuntimeStatus.Failed,
    df.OrchestrationRuntimeStatus.Canceled,
    df.OrchestrationRuntimeStatus.Terminated,
]


class DurableFunctions:
    """The durable client binding, as upkeep sees it."""

    def __init__(self, client: df.DurableOrchestrationClient) -> None:
        self._client = client

    def runs(self, orchestration: str) -> Runs:
        return DurableOrchestrations(self._client, orchestration)

    async def purge(self, created_from: datetime, created_to: datetime) -> int:
        purged = await self._client.purge_instance_history_by(created_from, created_to, _OVER)
        return purged.instances_deleted


@blueprint.function_name("upkeep_start_lost")
@blueprint.timer_trigger(arg_name="timer", schedule="15 */5 * * * *")
@blueprint.durable_client_input(client_name="client")
async def upkeep_start_lost(
    timer: func.TimerRequest, client: df.DurableOrchestrationClient, context: func.Context
) -> None:
    await _round(START_LOST, client, context)


@blueprint.function_name("upkeep_clean_up")
@blueprint.timer_trigger(arg_name="timer", schedule="0 17 * * * *")
@blueprint.durable_client_input(client_name="client")
async def upkeep_clean_up(
    timer: func.TimerRequest, client: df.DurableOrchestrationClient, context: func.Context
) -> None:
    await _round(CLEAN_UP, client, context)


async def _round(rules: Mapping[str, Rule], client: df.DurableOrchestrationClient, context: func.Context) -> None:
    with telemetry.bound(invocation=context.invocation_id or ""):
        await run_round(rules, Means(storage(), DurableFunctions(client), now()))
