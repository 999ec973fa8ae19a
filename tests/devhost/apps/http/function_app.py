"""HTTP functions for the conformance tests."""

# pyright: reportOptionalSubscript=false, reportOptionalMemberAccess=false, reportOptionalIterable=false
# pyright: reportOptionalOperand=false, reportArgumentType=false, reportAttributeAccessIssue=false
# (The SDK declares inputs as Optional and some of its own types too narrowly.)

import asyncio
import json
import logging
import os
import sys
import threading
import time

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
running = 0
most = 0
lock = threading.Lock()


def answer(**facts) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(facts), mimetype="application/json")


@app.route("request/{id?}")
def describe(req: func.HttpRequest) -> func.HttpResponse:
    return answer(
        method=req.method,
        url=req.url,
        params=dict(req.params),
        route=dict(req.route_params),
        headers=dict(req.headers),
        body=len(req.get_body()),
    )


@app.route("items/{id:int}")
def by_number(req: func.HttpRequest) -> func.HttpResponse:
    return answer(function="by_number", **req.route_params)


@app.route("items/{name:alpha:minlength(3)}")
def by_name(req: func.HttpRequest) -> func.HttpResponse:
    return answer(function="by_name", **req.route_params)


@app.route("items/special")
def special(req: func.HttpRequest) -> func.HttpResponse:
    return answer(function="special")


@app.route("items/{other}/parts/{part?}")
def parts(req: func.HttpRequest) -> func.HttpResponse:
    return answer(function="parts", **req.route_params)


@app.route("files/{*path}")
def files(req: func.HttpRequest) -> func.HttpResponse:
    return answer(function="files", **req.route_params)


@app.route("files/{name}.{extension}")
def file_name(req: func.HttpRequest) -> func.HttpResponse:
    return answer(function="file_name", **req.route_params)


@app.route("only", methods=["GET"])
def only_get(req: func.HttpRequest) -> func.HttpResponse:
    return answer(function="only_get")


@app.route("only", methods=["POST"])
def only_post(req: func.HttpRequest) -> func.HttpResponse:
    return answer(function="only_post")


@app.route("status/{code:int}")
def with_status(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse("body", status_code=int(req.route_params["code"]))
    response.headers.add("Set-Cookie", "a=1; Path=/; HttpOnly")
    response.headers.add("Set-Cookie", "b=2")
    response.headers["X-Custom"] = "yes"
    return response


@app.route("kinds/{kind}")
def kinds(req: func.HttpRequest):
    if req.route_params["kind"] == "text":
        return "plain text"
    if req.route_params["kind"] == "number":
        return 5
    if req.route_params["kind"] == "error":
        raise RuntimeError("the function failed")
    return None


@app.route("bytes/{count:int}")
async def many_bytes(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(b"x" * int(req.route_params["count"]), mimetype="application/octet-stream")


@app.route("block")
def block(req: func.HttpRequest) -> func.HttpResponse:
    """Occupies a thread for a moment; says how many did so at most."""
    global running, most
    with lock:
        running += 1
        most = max(most, running)
    time.sleep(0.2)
    with lock:
        running -= 1
    return answer(most=most)


@app.route("quick")
async def quick(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("quick")


@app.route("forever")
async def forever(req: func.HttpRequest) -> func.HttpResponse:
    await asyncio.sleep(3600)
    return func.HttpResponse("never")


@app.route("context")
def with_context(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return answer(
        invocation_id=context.invocation_id,
        function_name=context.function_name,
        directory=context.function_directory,
        trace_parent=context.trace_context.Traceparent,
    )


@app.route("environment")
def environment(req: func.HttpRequest) -> func.HttpResponse:
    names = ("FROM_FILE", "FROM_BOTH", "FUNCTIONS_WORKER_RUNTIME")
    return answer(
        directory=os.getcwd(),
        pid=os.getpid(),
        modules=[name for name in sys.modules if name.startswith("devhost")],
        path=sys.path,
        **{name: os.environ.get(name) for name in names},
    )


@app.route("logs")
def logs(req: func.HttpRequest) -> func.HttpResponse:
    logging.info("information of logs")
    logging.warning("warning of logs")
    print("printed by logs")
    return func.HttpResponse("logged")


@app.route("logs_quietly")
def logs_quietly(req: func.HttpRequest) -> func.HttpResponse:
    logging.warning("warning of logs_quietly")
    logging.error("error of logs_quietly")
    return func.HttpResponse("logged")


@app.route("switched_off")
def switched_off(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("should not be here")


@app.route("crash")
def crash(req: func.HttpRequest) -> func.HttpResponse:
    os._exit(3)


@app.route("secured", auth_level=func.AuthLevel.FUNCTION)
def secured(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("in")


@app.route("administered", auth_level=func.AuthLevel.ADMIN)
def administered(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("in")
