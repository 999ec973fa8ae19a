"""Finds the functions of an app: imports `function_app.py` and asks its app object what was registered."""

import importlib
import inspect
import json
import logging
import sys
import traceback
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from azure.functions.decorators.function_app import FunctionRegister

Bindings = list[dict[str, Any]]


class IndexFailed(Exception):
    """The app could not be indexed; the text says which file and why."""


@dataclass
class Function:
    """One indexed function: what to call and which arguments its bindings give."""

    name: str
    call: Callable[..., Any]
    bindings: Bindings
    wants_context: bool
    client_types: dict[str, type]


@dataclass
class Index:
    """Everything the app registered; `descriptions` is what the host gets to know of it."""

    callables: dict[str, Function] = field(default_factory=dict)
    descriptions: list[dict[str, Any]] = field(default_factory=list)


def index_app(app_dir: str) -> Index:
    """Imports `function_app` from `app_dir` and lists its functions; raises IndexFailed."""
    script = Path(app_dir) / "function_app.py"
    if not script.is_file():
        raise IndexFailed(f"{script}: not found; name the folder of a Python v2 function app with --app.")
    try:
        module = importlib.import_module("function_app")
        found = [value for value in vars(module).values() if isinstance(value, FunctionRegister)]
        if len({id(app) for app in found}) != 1:
            raise IndexFailed(f"{script}: needs exactly one FunctionApp at module level, found {len(found)}.")
        registered = found[0].get_functions()
    except IndexFailed:
        raise
    except (Exception, SystemExit) as error:
        raise IndexFailed(_explain(script, error)) from error
    index = Index()
    for function in map(_load, registered):
        index.callables[function.name] = function
        index.descriptions.append({"name": function.name, "bindings": function.bindings})
    if not index.descriptions:
        logging.getLogger("Host").warning("%s: no functions found.", script)
    return index


def _explain(script: Path, error: BaseException) -> str:
    """Names the innermost place inside the app, which is where the mistake is."""
    place = str(script)
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{error.filename}:{error.lineno}"
    else:
        for frame in traceback.extract_tb(error.__traceback__):
            if Path(frame.filename).is_relative_to(script.parent) and "site-packages" not in frame.filename:
                place = f"{frame.filename}:{frame.lineno}"
    return f"{place}: {type(error).__name__}: {error}"


def _load(function: Any) -> Function:
    """Checks the parameters against the bindings, as the real worker does when it loads a function."""
    name: str = function.get_function_name()
    call = function.get_user_function()
    bindings: Bindings = [json.loads(text) for text in function.get_raw_bindings()]
    client_types = _mark_deferred(call, bindings)
    parameters = set(inspect.signature(call).parameters)
    bound = {binding["name"] for binding in bindings} - {"$return"}
    wants_context = "context" in parameters and "context" not in bound
    if missing := sorted(bound - parameters):
        raise IndexFailed(f"function {name}: its bindings name parameters it does not have: {missing}.")
    if unbound := sorted(parameters - bound - ({"context"} if wants_context else set())):
        raise IndexFailed(f"function {name}: no binding fills its parameters {unbound}.")
    return Function(name, call, bindings, wants_context, client_types)


def _mark_deferred(call: Callable[..., Any], bindings: Bindings) -> dict[str, type]:
    """Finds the parameters that take a client of the storage SDK instead of content, and marks their bindings.

    Such types come from the package azurefunctions-extensions-bindings-*; without it there are none.
    """
    extension = sys.modules.get("azurefunctions.extensions.base")
    if extension is None:
        return {}
    registry = extension.get_binding_registry()
    hints = typing.get_type_hints(call)
    found: dict[str, type] = {}
    for binding in bindings:
        hint: Any = hints.get(binding["name"])
        if registry.get(binding["type"]) is not None and registry.check_supported_type(hint):
            binding["properties"] = {"supportsDeferredBinding": True}
            found[binding["name"]] = hint
    return found
