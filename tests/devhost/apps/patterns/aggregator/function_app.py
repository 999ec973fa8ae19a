"""Aggregator: an entity gathers events that come from many sides, and can be read at any time."""

import json
from typing import Any

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("meters/{key}", methods=["POST"])
@app.durable_client_input("client")
async def add(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    await client.signal_entity(df.EntityId("Meter", req.route_params["key"]), "add", req.get_json())
    return func.HttpResponse(status_code=202)


@app.route("meters/{key}", methods=["GET"])
@app.durable_client_input("client")
async def read(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    found = await client.read_entity_state(df.EntityId("Meter", req.route_params["key"]))
    state = json.dumps(found.entity_state) if found.entity_exists else "null"
    return func.HttpResponse(state, mimetype="application/json")


@app.entity_trigger("context")
def meter(context: df.DurableEntityContext) -> None:
    state: Any = context.get_state(lambda: {"count": 0, "sum": 0})
    if context.operation_name == "add":
        context.set_state({"count": state["count"] + 1, "sum": state["sum"] + context.get_input()})
