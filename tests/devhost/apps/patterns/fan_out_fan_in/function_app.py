"""Fan-out/fan-in: a list of work, all of it at once, one sum at the end."""

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("texts", methods=["POST"])
@app.durable_client_input("client")
async def begin(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    instance_id = await client.start_new("count_words", client_input=req.get_json())
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger("context")
def count_words(context: df.DurableOrchestrationContext):
    parts = yield context.call_activity("split", context.get_input())
    counts = yield context.task_all([context.call_activity("count", part) for part in parts])
    return sum(counts)


@app.activity_trigger("text")
def split(text: str) -> list[str]:
    return text.split(".")


@app.activity_trigger("text")
def count(text: str) -> int:
    return len(text.split())
