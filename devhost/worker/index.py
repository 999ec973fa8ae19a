"""Finds the functions of an app: imports `function_app.py` and asks its app object what was registered."""

import importlib
import json
import logging
import sys
import traceback
from datetime import datetime
from pathlib import Path

from azure.functions.decorators.function_app import FunctionRegister

from devhost.frames import Header
from devhost.worker.bindings import Function


class IndexFailed(Exception):
    """The app could not be indexed; the text says which file and why."""


def index_app(config: Header) -> list[Function]:
    """Imports `function_app` and lists its functions; raises IndexFailed."""
    script = Path(config["app"]) / "function_app.py"
    if not script.is_file():
        raise IndexFailed(f"{script}: not found; name the folder of a Python v2 function app with --app.")
    try:
        module = importlib.import_module("function_app")
        apps = {id(value): value for value in vars(module).values() if isinstance(value, FunctionRegister)}
        registered = [function for app in apps.values() for function in app.get_functions()]
    except (Exception, SystemExit) as error:
        raise IndexFailed(f"{_place(script, error)}: {type(error).__name__}: {error}") from error
    if len(apps) != 1:
        raise IndexFailed(f"{script}: needs exactly one FunctionApp at module level, found {len(apps)}.")
    if not registered:
        logging.getLogger("Host").warning("%s: no functions found.", script)
    _speed_up_replay()
    functions: list[Function] = []
    for one in registered:
        name = str(one.get_function_name())
        try:
            bindings = [json.loads(text) for text in one.get_raw_bindings()]
            functions.append(Function(name, one.get_user_function(), bindings, config))
        except ValueError as error:
            raise IndexFailed(f"function {name}: {error}") from error
    return functions


def _place(script: Path, error: BaseException) -> str:
    """The innermost place inside the app, which is where the mistake is."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(script.parent) and "site-packages" not in frame.filename
    ]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else str(script)


def _speed_up_replay() -> None:
    """Most of the cost of a replay is the general parser that the durable SDK uses for timestamps; the host only
    ever sends ISO 8601, for which the standard library has one."""
    module = sys.modules.get("azure.durable_functions.models.history.HistoryEvent")
    if module is not None and hasattr(module, "dt_parse"):
        setattr(module, "dt_parse", datetime.fromisoformat)  # noqa: B010 - a module attribute pyright cannot see
