"""Orchestrators for the conformance tests, and one route through which the tests use the SDK's client."""

# pyright: reportOptionalSubscript=false, reportOptionalMemberAccess=false, reportOptionalIterable=false
# pyright: reportOptionalOperand=false, reportArgumentType=false, reportAttributeAccessIssue=false
# (The SDK declares inputs as Optional and some of its own types too narrowly.)

import asyncio
import inspect
import json
import os
from datetime import datetime, timedelta
from pathlib import Path

import azure.durable_functions as df
import azure.functions as func
from azure.durable_functions.models.DurableOrchestrationStatus import DurableOrchestrationStatus
from azure.durable_functions.models.OrchestrationRuntimeStatus import OrchestrationRuntimeStatus

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("start/{name}", methods=["POST"])
@app.durable_client_input("client")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    body = req.get_body()
    instance_id = await client.start_new(
        req.route_params["name"],
        req.params.get("id"),
        json.loads(body) if body else None,
        req.params.get("version"),
    )
    return client.create_check_status_response(req, instance_id)


@app.route("client/{method}", methods=["POST"])
@app.durable_client_input("client")
async def call_client(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    arguments = req.get_json()
    for name in ("created_time_from", "created_time_to"):
        if name in arguments:
            arguments[name] = datetime.fromisoformat(arguments[name])
    if "runtime_status" in arguments:
        arguments["runtime_status"] = [OrchestrationRuntimeStatus[name] for name in arguments["runtime_status"]]
    if "entityId" in arguments:
        arguments["entityId"] = df.EntityId(*arguments["entityId"])
    try:
        result = getattr(client, req.route_params["method"])(**arguments)
        if inspect.isawaitable(result):
            result = await result
    except Exception as error:  # noqa: BLE001 - the SDK raises nothing more specific
        return func.HttpResponse(repr(error), status_code=500)
    return func.HttpResponse(json.dumps(_plain(result)), mimetype="application/json")


def _plain(result):
    if isinstance(result, list):
        return [_plain(item) for item in result]
    if isinstance(result, DurableOrchestrationStatus):
        if not result:
            return {"exists": False}
        history = getattr(result, "historyEvents", None)
        return result.to_json() | {"historyEvents": history, "exists": True}
    if hasattr(result, "instances_deleted"):
        return result.instances_deleted
    if hasattr(result, "entity_exists"):
        return {"exists": result.entity_exists, "state": result.entity_state}
    return result


@app.activity_trigger(input_name="value")
def add_one(value: int) -> int:
    return value + 1


@app.activity_trigger(input_name="value")
def fail(value: str) -> str:
    raise ValueError(f"no {value}")


@app.activity_trigger(input_name="path")
def note(path: str) -> int:
    """Appends a line to a file; returns how many lines it has then."""
    with open(path, "a") as file:
        file.write("x\n")
    return len(Path(path).read_text().splitlines())


@app.activity_trigger(input_name="request")
def fail_until(request: dict) -> str:
    """Fails as long as its file has fewer lines than asked for."""
    tries = note_line(request["path"])
    if tries < request["succeed_at"]:
        raise RuntimeError(f"try {tries}")
    return f"try {tries}"


def note_line(path: str) -> int:
    with open(path, "a") as file:
        file.write("x\n")
    return len(Path(path).read_text().splitlines())


@app.activity_trigger(input_name="path")
async def sleep_until_exists(path: str) -> str:
    note_line(path + ".started")
    while not os.path.exists(path):  # noqa: ASYNC110 - the test makes the file
        await asyncio.sleep(0.05)
    return "seen"


@app.activity_trigger(input_name="code")
def crash(code: int) -> None:
    os._exit(code)


@app.orchestration_trigger(context_name="context")
def chain(context: df.DurableOrchestrationContext):
    value = 0
    for _ in range(context.get_input()):
        value = yield context.call_activity("add_one", value)
    return value


@app.orchestration_trigger(context_name="context")
def fan_out(context: df.DurableOrchestrationContext):
    results = yield context.task_all([context.call_activity("add_one", i) for i in range(context.get_input())])
    return sum(results)


@app.orchestration_trigger(context_name="context")
def echo(context: df.DurableOrchestrationContext):
    return context.get_input()


@app.orchestration_trigger(context_name="context")
def facts(context: df.DurableOrchestrationContext):
    """What the context says about itself."""
    yield context.call_activity("add_one", 1)
    return {
        "instance_id": context.instance_id,
        "parent": context.parent_instance_id,
        "guids": [str(context.new_guid()) for _ in range(2)],
        "now": context.current_utc_datetime.isoformat(),
        "version": context.version,
    }


@app.orchestration_trigger(context_name="context")
def sleeper(context: df.DurableOrchestrationContext):
    due = context.current_utc_datetime + timedelta(seconds=context.get_input())
    yield context.create_timer(due)
    return (context.current_utc_datetime - due).total_seconds() >= 0


@app.orchestration_trigger(context_name="context")
def activity_or_timer(context: df.DurableOrchestrationContext):
    """The timeout pattern: the loser, a timer, is cancelled."""
    timer = context.create_timer(context.current_utc_datetime + timedelta(seconds=context.get_input()))
    work = context.call_activity("add_one", 41)
    winner = yield context.task_any([work, timer])
    if winner is work:
        timer.cancel()
        return work.result
    return "timeout"


@app.orchestration_trigger(context_name="context")
def fails(context: df.DurableOrchestrationContext):
    yield context.call_activity("fail", "luck")


@app.orchestration_trigger(context_name="context")
def catches(context: df.DurableOrchestrationContext):
    try:
        yield context.call_activity("fail", "luck")
    except Exception as error:  # noqa: BLE001 - the SDK raises nothing more specific
        return str(error)


@app.orchestration_trigger(context_name="context")
def raises(context: df.DurableOrchestrationContext):
    raise RuntimeError(context.get_input())
    yield


@app.orchestration_trigger(context_name="context")
def retries(context: df.DurableOrchestrationContext):
    options = df.RetryOptions(50, context.get_input()["attempts"])
    try:
        return (yield context.call_activity_with_retry("fail_until", options, context.get_input()))
    except Exception as error:  # noqa: BLE001 - the SDK raises nothing more specific
        return f"gave up: {str(error).splitlines()[0]}"


@app.orchestration_trigger(context_name="context")
def parallel_retries(context: df.DurableOrchestrationContext):
    options = df.RetryOptions(30, 5)
    tasks = [context.call_activity_with_retry("fail_until", options, request) for request in context.get_input()]
    results = yield context.task_all(tasks)
    after = yield context.call_activity("add_one", len(results))
    return [results, after]


@app.orchestration_trigger(context_name="context")
def parent(context: df.DurableOrchestrationContext):
    request = context.get_input()
    children = [
        context.call_sub_orchestrator(request["name"], value, request.get("child_id")) for value in request["inputs"]
    ]
    return (yield context.task_all(children))


@app.orchestration_trigger(context_name="context")
def retrying_parent(context: df.DurableOrchestrationContext):
    try:
        yield context.call_sub_orchestrator_with_retry("fails", df.RetryOptions(30, 2), None)
    except Exception as error:  # noqa: BLE001 - the SDK raises nothing more specific
        return str(error)


@app.orchestration_trigger(context_name="context")
def waits(context: df.DurableOrchestrationContext):
    """Waits for events of these names, one after another."""
    received = []
    for name in context.get_input():
        received.append((yield context.wait_for_external_event(name)))
    return received


@app.orchestration_trigger(context_name="context")
def activity_then_waits(context: df.DurableOrchestrationContext):
    """Events may be raised before anybody waits for them."""
    request = context.get_input()
    yield context.call_activity("sleep_until_exists", request["path"])
    received = []
    for name in request["names"]:
        received.append((yield context.wait_for_external_event(name)))
    return received


@app.orchestration_trigger(context_name="context")
def continues(context: df.DurableOrchestrationContext):
    left = context.get_input()
    value = yield context.call_activity("add_one", left)
    if left == 0:
        return value
    context.continue_as_new(left - 1)


@app.orchestration_trigger(context_name="context")
def collects(context: df.DurableOrchestrationContext):
    """Eternal until three items are there; every item begins a new execution."""
    items = context.get_input() or []
    item = yield context.wait_for_external_event("item")
    items.append(item)
    if len(items) == 3:
        return items
    context.continue_as_new(items)


@app.orchestration_trigger(context_name="context")
def custom_status(context: df.DurableOrchestrationContext):
    context.set_custom_status({"step": 1})
    yield context.wait_for_external_event("go")
    context.set_custom_status({"step": 2})
    return "done"


@app.orchestration_trigger(context_name="context")
def waits_for_file(context: df.DurableOrchestrationContext):
    return (yield context.call_activity("sleep_until_exists", context.get_input()))


@app.orchestration_trigger(context_name="context")
def counts_calls(context: df.DurableOrchestrationContext):
    return (yield context.call_activity("note", context.get_input()))


@app.orchestration_trigger(context_name="context")
def crashes(context: df.DurableOrchestrationContext):
    try:
        yield context.call_activity("crash", 7)
    except Exception as error:  # noqa: BLE001 - the SDK raises nothing more specific
        return str(error).splitlines()[0]


@app.orchestration_trigger(context_name="context")
def crashing_code(context: df.DurableOrchestrationContext):
    os._exit(9)


@app.orchestration_trigger(context_name="context")
def calls_unknown(context: df.DurableOrchestrationContext):
    yield context.call_activity("nobody", None)


@app.orchestration_trigger(context_name="context")
def changes_its_mind(context: df.DurableOrchestrationContext):
    """Not deterministic: after the file appears it asks for something else."""
    path = context.get_input()
    name = "fail" if Path(path).exists() else "add_one"
    yield context.call_activity(name, 1)
    yield context.wait_for_external_event("go")


@app.orchestration_trigger(context_name="context")
def fails_once(context: df.DurableOrchestrationContext):
    """Fails as long as the file is missing; what came before is not repeated by a rewind."""
    path = context.get_input()
    calls = yield context.call_activity("note", path + ".calls")
    result = yield context.call_activity("needs_file", path)
    return [calls, result]


@app.activity_trigger(input_name="path")
def needs_file(path: str) -> str:
    if not Path(path).exists():
        raise FileNotFoundError(path)
    return "found"


@app.orchestration_trigger(context_name="context")
def fans_out_once(context: df.DurableOrchestrationContext):
    """Fails as soon as the first of its activities does."""
    return (yield context.task_all([context.call_activity("needs_file", context.get_input()) for _ in range(3)]))


@app.orchestration_trigger(context_name="context")
def retries_in_vain(context: df.DurableOrchestrationContext):
    yield context.call_activity_with_retry("fail", df.RetryOptions(30, 2), "luck")


@app.orchestration_trigger(context_name="context")
def parent_of_fails_once(context: df.DurableOrchestrationContext):
    return (yield context.call_sub_orchestrator("fails_once", context.get_input()))


@app.route("echo", methods=["GET", "POST"])
def echo_http(req: func.HttpRequest) -> func.HttpResponse:
    body = {"method": req.method, "header": req.headers.get("x-test"), "body": req.get_body().decode()}
    return func.HttpResponse(json.dumps(body), status_code=201, headers={"x-answer": "yes"})


@app.route("slow/{polls:int}")
def slow_http(req: func.HttpRequest) -> func.HttpResponse:
    """202 with a Location as often as asked, then 200: the asynchronous HTTP API."""
    left = int(req.route_params["polls"])
    if left == 0:
        return func.HttpResponse("finished")
    url = req.url.replace(f"slow/{left}", f"slow/{left - 1}")
    return func.HttpResponse(status_code=202, headers={"Location": url, "Retry-After": "0"})


@app.orchestration_trigger(context_name="context")
def calls_http(context: df.DurableOrchestrationContext):
    request = context.get_input()
    return (yield context.call_http(request["method"], request["uri"], request.get("content"), request.get("headers")))


@app.entity_trigger(context_name="context")
def counter(context: df.DurableEntityContext):
    value = context.get_state(lambda: 0)
    if context.operation_name == "add":
        value += context.get_input()
        context.set_state(value)
        context.set_result(value)
    elif context.operation_name == "get":
        context.set_result(value)
    elif context.operation_name == "reset":
        context.destruct_on_exit()
    else:
        raise ValueError(f"no operation {context.operation_name}")


@app.orchestration_trigger(context_name="context")
def uses_entity(context: df.DurableOrchestrationContext):
    entity = df.EntityId("counter", context.get_input())
    context.signal_entity(entity, "add", 1)
    second = yield context.call_entity(entity, "add", 5)
    third = yield context.call_entity(entity, "get")
    return [second, third]


@app.orchestration_trigger(context_name="context")
def misuses_entity(context: df.DurableOrchestrationContext):
    try:
        yield context.call_entity(df.EntityId("counter", "wrong"), "multiply", 5)
    except Exception as error:  # noqa: BLE001 - the SDK raises nothing more specific
        return str(error)
