"""A function of the app: its arguments made from what the host sends, its result made into an answer."""

import inspect
import json
import sys
import threading
import typing
from collections.abc import Callable
from http.cookies import SimpleCookie
from types import SimpleNamespace
from typing import Any

import azure.functions as func
from azure.functions.blob import InputStream
from azure.functions.durable_functions import ActivityTriggerConverter
from azure.functions.http import HttpRequest, HttpResponseConverter
from azure.functions.meta import Datum
from azure.functions.timer import TimerRequest

from devhost import frames
from devhost.frames import Body, Header

_thread_local = threading.local()


class Function:
    """One indexed function; raises ValueError when its parameters and bindings do not fit together."""

    def __init__(self, name: str, call: Callable[..., Any], bindings: list[dict[str, Any]], config: Header) -> None:
        self.name, self.call, self.bindings = name, call, bindings
        self._config = config
        trigger = next((binding for binding in bindings if binding["type"].lower().endswith("trigger")), None)
        self._kind = trigger["type"].lower() if trigger else ""
        self._parameter = trigger["name"] if trigger else ""
        self._clients = [binding for binding in bindings if binding["type"].lower() == "durableclient"]
        self._blob_type = _client_type(call, trigger) if trigger else None
        parameters = set(inspect.signature(call).parameters)
        bound = {binding["name"] for binding in bindings} - {"$return"}
        self._wants_context = "context" in parameters - bound
        if missing := sorted(bound - parameters):
            raise ValueError(f"its bindings name parameters it does not have: {missing}.")
        if unbound := sorted(parameters - bound - {"context"}):
            raise ValueError(f"no binding fills its parameters {unbound}.")

    def arguments(self, header: Header, body: Body) -> dict[str, Any]:
        """The keyword arguments of one call."""
        arguments = {self._parameter: self._trigger_value(header, frames.content(body))}
        for binding in self._clients:
            arguments[binding["name"]] = self._config["durable_client"]
        if self._wants_context:
            arguments["context"] = self._context(header)
        return arguments

    def _trigger_value(self, header: Header, body: bytes) -> Any:
        if self._blob_type:
            return _blob_client(header["model"], self._blob_type)
        match self._kind:
            case "httptrigger":
                return HttpRequest(**header["request"], body_type="bytes", body=body)
            case "blobtrigger":
                return InputStream(data=body, length=len(body), **header["blob"])
            case "timertrigger":
                return TimerRequest(**header["timer"], schedule={"AdjustForDST": True})
            case "activitytrigger":
                return ActivityTriggerConverter.decode(Datum(body.decode(), "string"), trigger_metadata={})
            case "orchestrationtrigger":
                return func.OrchestrationContext(body.decode())
        return func.EntityContext(body.decode())

    def _context(self, header: Header) -> Any:
        """What `azure.functions.Context` promises."""
        parent, state = header.get("trace", ("", ""))
        return SimpleNamespace(
            invocation_id=header["id"],
            function_name=self.name,
            function_directory=self._config["app"],
            thread_local_storage=_thread_local,
            # Both spellings exist in released workers.
            trace_context=SimpleNamespace(
                trace_parent=parent, trace_state=state, Traceparent=parent, Tracestate=state, attributes={}
            ),
            retry_context=SimpleNamespace(retry_count=0, max_retry_count=0, exception=None),
        )

    def answer(self, result: Any) -> tuple[Header, bytes]:
        """What goes back to the host; raises for a result of a type that the binding does not take."""
        match self._kind:
            case "httptrigger":
                return _http_answer(result)
            case "activitytrigger":
                return {}, ActivityTriggerConverter.encode(result, expected_type=None).value.encode()
            case "orchestrationtrigger" | "entitytrigger":
                return {}, (result if isinstance(result, str) else json.dumps(result)).encode()
        return {}, b""


def _http_answer(result: Any) -> tuple[Header, bytes]:
    if result is None:
        return {"status": 204, "headers": []}, b""
    datum = HttpResponseConverter.encode(result, expected_type=None)
    if datum.type == "string":
        return {"status": 200, "headers": [("content-type", "text/plain; charset=utf-8")]}, datum.value.encode()
    value = datum.value
    headers = [(name, item.value) for name, item in value["headers"].items()]
    cookies: list[SimpleCookie] = value["cookies"] or []
    headers += [("set-cookie", morsel.OutputString()) for cookie in cookies for morsel in cookie.values()]
    return {"status": int(value["status_code"].value), "headers": headers}, value["body"].value


def _client_type(call: Callable[..., Any], trigger: dict[str, Any]) -> type | None:
    """The type of the trigger's parameter if it is a client of the storage SDK; the host then sends no content.

    Such types come from the package azurefunctions-extensions-bindings-*; without it there are none."""
    extension = sys.modules.get("azurefunctions.extensions.base")
    if extension is None or (registry := extension.get_binding_registry()).get(trigger["type"]) is None:
        return None
    hint: Any = typing.get_type_hints(call).get(trigger["name"])
    if not registry.check_supported_type(hint):
        return None
    trigger["properties"] = {"supportsDeferredBinding": True}
    return hint


def _blob_client(model: dict[str, str], client_type: type) -> Any:
    """The client for the blob that triggered, made by the extension whose type the parameter has."""
    extension = sys.modules["azurefunctions.extensions.base"]
    # The fields are those of the worker's protocol.
    data = SimpleNamespace(
        content=json.dumps(model), version="1.0", source="AzureStorageBlobs", content_type="application/json"
    )
    converter = extension.get_binding_registry().get("blobTrigger")
    return converter.decode(extension.Datum(data, "model_binding_data"), trigger_metadata={}, pytype=client_type)
