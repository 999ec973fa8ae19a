"""What a graph would be as a model, told by a child on the light backend: summary, counts and shapes."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

from core.keras_worker import light_backend
from core.keras_worker.errors import Refused
from core.keras_worker.memory_limit import limit_memory

if TYPE_CHECKING:
    from core.keras_worker.commands import Call

light_backend.install()

# Collecting while layers are made takes a third of the time; so it is done between graphs, this often.
_LAYERS_BETWEEN_COLLECTIONS = 2000
_layers_since_collection = 0


def compile(call: Call) -> dict[str, Any]:
    """The command: see `compile_graph`."""
    return compile_graph(call.arguments)


def compile_graph(arguments: dict[str, Any]) -> dict[str, Any]:
    """`{"summary", "parameter_count", "input_shape", "output_shape"}` of `{"graph": checked}`.

    With `"config": true` also `"model_json"`, what `model.to_json()` gives, and `"output_counts"`, how many
    tensors each layer gives. `"memory_bytes"` limits what the process may allocate from here on. Raises
    Refused.
    """
    from core.keras_worker.build import build_model
    from core.keras_worker.summary import describe, output_counts

    global _layers_since_collection
    limit_memory(arguments.get("memory_bytes", 0))
    _layers_since_collection += len(arguments["graph"]["nodes"])
    if _layers_since_collection > _LAYERS_BETWEEN_COLLECTIONS:
        gc.collect()
        _layers_since_collection = 0
    gc.disable()
    try:
        model = build_model(arguments["graph"], arguments.get("name", "model"))
        described = describe(model)
        if arguments.get("config"):
            described |= {"model_json": model.to_json(), "output_counts": output_counts(model)}
    except RecursionError:
        raise Refused({"nodes": ["The graph is nested too deeply."]}) from None
    finally:
        gc.enable()
    return described
