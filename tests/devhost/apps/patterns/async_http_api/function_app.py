"""Asynchronous HTTP API: a start that answers at once, or with the result if it comes soon enough."""

from datetime import timedelta

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("reports/{seconds:int}", methods=["POST"])
@app.durable_client_input("client")
async def begin(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    instance_id = await client.start_new("report", client_input=int(req.route_params["seconds"]))
    if req.params.get("wait"):
        return await client.wait_for_completion_or_create_check_status_response(
            req, instance_id, timeout_in_milliseconds=2000, retry_interval_in_milliseconds=100
        )
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger("context")
def report(context: df.DurableOrchestrationContext):
    seconds: int = context.get_input() or 0
    yield context.create_timer(context.current_utc_datetime + timedelta(seconds=seconds))
    return {"report": "ready"}
