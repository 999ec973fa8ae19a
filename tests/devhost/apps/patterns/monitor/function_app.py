"""Monitor: looks at something again and again until it is done or the time is up."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("monitors", methods=["POST"])
@app.durable_client_input("client")
async def begin(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    instance_id = await client.start_new("watch", client_input=req.get_json())
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger("context")
def watch(context: df.DurableOrchestrationContext):
    job: Any = context.get_input()
    looks = 0
    expiry = context.current_utc_datetime + timedelta(seconds=job["seconds"])
    while context.current_utc_datetime < expiry:
        looks += 1
        if (yield context.call_activity("is_done", job["path"])):
            return {"done": True, "looks": looks}
        context.set_custom_status({"looks": looks})
        yield context.create_timer(context.current_utc_datetime + timedelta(milliseconds=100))
    return {"done": False, "looks": looks}


@app.activity_trigger("path")
def is_done(path: str) -> bool:
    return Path(path).exists()
