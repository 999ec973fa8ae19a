"""Human interaction: waits for somebody's decision, and goes on without it when it takes too long."""

from datetime import timedelta
from typing import Any

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("approvals", methods=["POST"])
@app.durable_client_input("client")
async def begin(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    instance_id = await client.start_new("approval", client_input=req.get_json())
    return client.create_check_status_response(req, instance_id)


@app.route("approvals/{id}/decision", methods=["POST"])
@app.durable_client_input("client")
async def decide(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    await client.raise_event(req.route_params["id"], "Approval", req.get_json())
    return func.HttpResponse(status_code=202)


@app.orchestration_trigger("context")
def approval(context: df.DurableOrchestrationContext):
    patience: Any = context.get_input()
    yield context.call_activity("ask", None)
    timeout: Any = context.create_timer(context.current_utc_datetime + timedelta(seconds=patience))
    decision = context.wait_for_external_event("Approval")
    winner = yield context.task_any([decision, timeout])
    if winner is decision:
        timeout.cancel()
        return (yield context.call_activity("process", decision.result))
    return (yield context.call_activity("escalate", None))


@app.activity_trigger("nothing")
def ask(nothing: None) -> None:
    return None


@app.activity_trigger("decision")
def process(decision: str) -> str:
    return f"processed {decision}"


@app.activity_trigger("nothing")
def escalate(nothing: None) -> str:
    return "escalated"
