"""What the pinned Keras says about itself: public classes and functions with signatures and docs.

Runs in a child; `core.catalog` turns the raw facts into the catalogues that are served.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator
from typing import Any

_KEPT_BASES = 6


def describe_keras() -> dict[str, Any]:
    """Raw entries of each kind, plus the classes that may stand inside a parameter.

    Returns `{"keras_version", "layers": [entry…], "optimizers": …, …, "operations": [entry…]}`, where
    an entry is `{"name", "aliases", "module", "bases", "doc", "parameters", "methods", …}`.
    """
    import keras

    facts: dict[str, Any] = {"keras_version": keras.__version__}
    facts["layers"] = [_with_call(entry, cls) for entry, cls in _classes(keras.layers, keras.layers.Layer)]
    facts["layers"] += [_entry(keras.layers, "Input", keras.layers.Input, [])]
    facts["optimizers"] = [entry for entry, _ in _classes(keras.optimizers, keras.optimizers.Optimizer)]
    facts["losses"] = _losses(keras.losses)
    facts["metrics"] = [entry for entry, _ in _classes(keras.metrics, keras.metrics.Metric)]
    facts["activations"] = [entry for entry, _ in _functions(keras.activations)]
    for kind, base in (
        ("initializers", keras.initializers.Initializer),
        ("regularizers", keras.regularizers.Regularizer),
        ("constraints", keras.constraints.Constraint),
    ):
        facts[kind] = [entry for entry, _ in _classes(getattr(keras, kind), base)]
    facts["operations"] = list(_operations())
    return facts


def _classes(module: Any, base: type) -> Iterator[tuple[dict[str, Any], type]]:
    for name, aliases, value in _members(module):
        if inspect.isclass(value) and issubclass(value, base):
            yield _entry(module, name, value, aliases), value


def _functions(module: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    for name, aliases, value in _members(module):
        if inspect.isfunction(value):
            yield _entry(module, name, value, aliases), value


def _members(module: Any) -> Iterator[tuple[str, list[str], Any]]:
    """Each public object once, under its own name where that is public, with its other names."""
    names: dict[int, list[str]] = {}
    for name in sorted(dir(module)):
        if not name.startswith("_") and not inspect.ismodule(getattr(module, name)):
            names.setdefault(id(getattr(module, name)), []).append(name)
    for group in names.values():
        value = getattr(module, group[0])
        own = getattr(value, "__name__", group[0])
        name = own if own in group else group[0]
        # Older files name a class by its own name even where that is not the public one.
        yield name, [other for other in dict.fromkeys([*group, own]) if other != name], value


def _entry(module: Any, name: str, value: Any, aliases: list[str]) -> dict[str, Any]:
    is_class = inspect.isclass(value)
    return {
        "name": name,
        "aliases": aliases,
        "qualified_name": f"{module.__name__.removeprefix('keras._tf_keras.')}.{name}",
        "module": value.__module__,
        "is_class": is_class,
        "bases": _bases(value) if is_class else [],
        "doc": inspect.getdoc(value) or "",
        "parameters": _parameters(value),
        "methods": _methods(value) if is_class else [],
    }


def _bases(cls: type) -> list[str]:
    """The names of the nearest bases, without those that only one backend has."""
    bases = [base for base in cls.__mro__[1:] if base is not object and ".backend." not in base.__module__]
    return [base.__name__ for base in bases[:_KEPT_BASES]]


def _with_call(entry: dict[str, Any], cls: type) -> dict[str, Any]:
    """Which arguments the layer's call takes, so that an edge can name one."""
    call = inspect.signature(cls.call)
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    names = [name for name, parameter in call.parameters.items() if parameter.kind in kinds]
    return {**entry, "call_arguments": [name for name in names if name != "self"]}


def _parameters(value: Any) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = []
    for parameter in inspect.signature(value).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        described: dict[str, Any] = {"name": parameter.name, "kind": parameter.kind.name}
        if parameter.default is not parameter.empty:
            described["default"] = _plain(parameter.default)
        parameters.append(described)
    return parameters


def _plain(default: Any) -> Any:
    """A default as JSON; a tuple becomes `{"tuple": […]}`, so that it is not taken for a list."""
    if isinstance(default, tuple):
        return {"tuple": [_plain(item) for item in default]}
    if default is None or isinstance(default, bool | int | float | str):
        return default
    return repr(default)


def _methods(cls: type) -> list[dict[str, str]]:
    methods: list[dict[str, str]] = []
    for name, method in sorted(vars(cls).items()):
        if not name.startswith("_") and inspect.isfunction(method):
            summary = (inspect.getdoc(method) or "").split("\n", 1)[0]
            methods.append({"name": name, "signature": str(inspect.signature(method)), "description": summary})
    return methods


def _losses(module: Any) -> list[dict[str, Any]]:
    """Loss classes, then loss functions, each with the class it stands behind, if any."""
    behind: dict[Any, str] = {}
    entries: list[dict[str, Any]] = []
    for entry, cls in _classes(module, module.Loss):
        required = any("default" not in parameter for parameter in entry["parameters"])
        function = None if required or cls is module.Loss else getattr(cls(), "fn", None)
        if function is not None:
            behind[function] = entry["name"]
        entries.append(entry)
    for entry, function in _functions(module):
        if function.__name__ not in ("get", "serialize", "deserialize"):
            entries.append({**entry, "alias_of": behind.get(function)})
    return entries


def _operations() -> Iterator[dict[str, Any]]:
    """Operations that expressions such as `x + y` leave in a functional model, which are not layers."""
    import keras.ops as public
    import keras.src.ops as ops
    from keras.src.layers.layer import Layer
    from keras.src.ops.operation import Operation

    for module_name in ("core", "image", "linalg", "math", "nn", "numpy"):
        module = getattr(ops, module_name)
        for name, value in sorted(vars(module).items()):
            mine = inspect.isclass(value) and value.__module__ == module.__name__
            if mine and issubclass(value, Operation) and not issubclass(value, Layer):
                call = inspect.signature(value.call)
                function = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
                yield {
                    "name": f"ops.{module_name}.{name}",
                    "function": function if hasattr(public, function) else None,
                    "module": module.__name__,
                    "parameters": [item for item in _parameters(value) if item["name"] != "name"],
                    "call_arguments": [key for key in call.parameters if key != "self"],
                }


def main() -> None:
    """Prints the description as JSON; on the numpy backend, which is there in half a second."""
    from core.keras_worker import light_backend

    light_backend.install()
    json.dump(describe_keras(), sys.stdout)


if __name__ == "__main__":
    main()
