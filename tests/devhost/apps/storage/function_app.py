"""Blob and timer functions that write down every call, one JSON line each, into the file named by RECORD."""

# pyright: reportOptionalSubscript=false, reportOptionalMemberAccess=false, reportOptionalIterable=false
# pyright: reportOptionalOperand=false, reportArgumentType=false, reportAttributeAccessIssue=false
# (The SDK declares inputs as Optional and some of its own types too narrowly.)

import json
import os
import time

import azure.functions as func
from azurefunctions.extensions.bindings.blob import BlobClient

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def record(kind: str, **facts) -> None:
    with open(os.environ["RECORD"], "a") as file:
        file.write(json.dumps({"kind": kind} | facts) + "\n")


@app.blob_trigger(arg_name="blob", path="uploads/{user}/{name}.csv", connection="AzureWebJobsStorage")
def uploaded(blob: func.InputStream) -> None:
    content = blob.read()
    record(
        "upload",
        name=blob.name,
        uri=blob.uri,
        length=blob.length,
        size=len(content),
        text=content[:20].decode(),
        metadata=blob.metadata,
        type=(blob.blob_properties or {}).get("ContentType"),
    )


@app.blob_trigger(arg_name="blob", path="bad/{name}", connection="AzureWebJobsStorage")
def rejected(blob: func.InputStream) -> None:
    record("bad", name=blob.name)
    raise ValueError("this blob is always refused")


@app.blob_trigger(arg_name="blob", path="%EVENTS%/{name}", connection="AzureWebJobsStorage", source="EventGrid")
def announced(blob: func.InputStream) -> None:
    record("event", name=blob.name)


@app.blob_trigger(arg_name="client", path="large/{name}", connection="AzureWebJobsStorage")
def pointed_at(client: BlobClient) -> None:
    content = client.download_blob().readall()
    record("client", container=client.container_name, name=client.blob_name, size=len(content))


@app.timer_trigger(arg_name="timer", schedule="%EVERY_SECOND%", run_on_startup=False)
def tick(timer: func.TimerRequest) -> None:
    record("tick", past_due=timer.past_due, status=timer.schedule_status)
    time.sleep(float(os.environ.get("TICK_SECONDS", "0")))
    record("tock")


@app.timer_trigger(arg_name="timer", schedule="0 0 3 * * *")
def nightly(timer: func.TimerRequest) -> None:
    record("nightly", past_due=timer.past_due, next=timer.schedule_status["Next"])


@app.timer_trigger(arg_name="timer", schedule="0 0 4 * * *", run_on_startup=True)
def at_start(timer: func.TimerRequest) -> None:
    record("start", past_due=timer.past_due)
