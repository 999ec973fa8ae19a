"""Turns what the host sent for a trigger into the function's argument, and its result into an answer."""

import json
import sys
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any

import azure.functions as func
from azure.functions.blob import InputStream
from azure.functions.durable_functions import ActivityTriggerConverter
from azure.functions.http import HttpRequest, HttpResponseConverter
from azure.functions.meta import Datum
from azure.functions.timer import TimerRequest

from devhost.link import Header

Answer = tuple[Header, bytes]

HTTP_TRIGGER = "httptrigger"
TRIGGERS = {
    HTTP_TRIGGER,
    "blobtrigger",
    "timertrigger",
    "activitytrigger",
    "orchestrationtrigger",
    "entitytrigger",
}


@dataclass(frozen=True)
class ModelBindingData:
    """What the host sends in place of content: where the blob lies. The fields are those of the worker's protocol."""

    content: str
    version: str = "1.0"
    source: str = "AzureStorageBlobs"
    content_type: str = "application/json"


def client_argument(binding: str, header: Header, client_type: type) -> Any:
    """The client for the blob that triggered, made by the extension whose type the parameter has."""
    extension = sys.modules["azurefunctions.extensions.base"]
    datum = extension.Datum(ModelBindingData(json.dumps(header["model"])), "model_binding_data")
    converter = extension.get_binding_registry().get(binding)
    return converter.decode(datum, trigger_metadata={}, pytype=client_type)


def trigger_argument(kind: str, header: Header, body: bytes | bytearray) -> Any:
    """The value of the trigger parameter; `kind` is the binding type in lower case."""
    if kind == HTTP_TRIGGER:
        return HttpRequest(
            header["method"],
            header["url"],
            headers=header["headers"],
            params=header["query"],
            route_params=header["route"],
            body_type="bytes",
            body=bytes(body),
        )
    if kind == "blobtrigger":
        return InputStream(
            data=bytes(body),
            name=header["name"],
            uri=header["uri"],
            length=len(body),
            blob_properties=header["properties"],
            metadata=header["metadata"],
        )
    if kind == "timertrigger":
        return TimerRequest(
            past_due=header["past_due"], schedule_status=header["status"], schedule={"AdjustForDST": True}
        )
    text = body.decode()
    if kind == "activitytrigger":
        return ActivityTriggerConverter.decode(Datum(text, "string"), trigger_metadata={})
    return func.OrchestrationContext(text) if kind == "orchestrationtrigger" else func.EntityContext(text)


def answer(kind: str, result: Any) -> Answer:
    """The frame that carries a function's result back to the host; raises for a result of the wrong type."""
    if kind == HTTP_TRIGGER:
        return _http_answer(result)
    if kind == "activitytrigger":
        return {}, ActivityTriggerConverter.encode(result, expected_type=None).value.encode()
    if kind in ("orchestrationtrigger", "entitytrigger"):
        return {}, (result if isinstance(result, str) else json.dumps(result)).encode()
    return {}, b""


def _http_answer(result: Any) -> Answer:
    if result is None:
        return {"status": 204, "headers": []}, b""
    datum = HttpResponseConverter.encode(result, expected_type=None)
    if datum.type == "string":
        return {
            "status": 200,
            "headers": [("content-type", "text/plain; charset=utf-8")],
        }, datum.value.encode()
    value = datum.value
    headers = [(name, item.value) for name, item in value["headers"].items()]
    cookies: list[SimpleCookie] = value["cookies"] or []
    headers += [("set-cookie", morsel.OutputString()) for cookie in cookies for morsel in cookie.values()]
    return {"status": int(value["status_code"].value), "headers": headers}, value["body"].value
