"""What a built model looks like from outside: its summary, its size, its shapes.

The table is Keras's own, cell by cell, but as wide as its widest cells: Keras folds long cells into
several lines, and the canvas reads one layer per line. (It is also twenty times as fast.)
"""

from __future__ import annotations

import math
import re
from typing import Any

_MARKUP = re.compile(r"\[(?:/|color\(\d+\)|bold)\]")


def describe(model: Any) -> dict[str, Any]:
    """`{"summary", "parameter_count", "input_shape", "output_shape"}`; one shape per tensor, batch as null."""
    return {
        "summary": summary_text(model),
        "parameter_count": sum(math.prod(variable.shape) for variable in model.weights),
        "input_shape": [list(tensor.shape) for tensor in model.inputs],
        "output_shape": [list(tensor.shape) for tensor in model.outputs],
    }


def output_counts(model: Any, prefix: str = "") -> dict[str, int]:
    """How many tensors each layer gives, by name; those of a nested model as `outer/inner`."""
    from keras import tree

    counts: dict[str, int] = {}
    for layer in model._operations:
        counts[prefix + layer.name] = max(len(tree.flatten(node.output_tensors)) for node in layer._inbound_nodes)
        if hasattr(layer, "_operations"):
            counts |= output_counts(layer, f"{prefix}{layer.name}/")
    return counts


def summary_text(model: Any) -> str:
    """The text table of `model.summary()`, one line for each layer."""
    rows = _rows(model)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    head, *body = rows
    lines = [f'Model: "{model.name}"', _rule("┏━┳┓", widths), _line("┃", head, widths), _rule("┡━╇┩", widths)]
    for index, row in enumerate(body):
        if index:
            lines.append(_rule("├─┼┤", widths))
        lines.append(_line("│", row, widths))
    return "\n".join([*lines, _rule("└─┴┘", widths), *_totals(model), ""])


def _rows(model: Any) -> list[list[str]]:
    """The header and one row per layer: name and type, output shape, parameters, and what it is connected to."""
    from keras.src.utils.summary_utils import format_layer_shape

    branched = _is_branched(model)
    nodes = {id(node) for level in model._nodes_by_depth.values() for node in level}
    rows = [["Layer (type)", "Output Shape", "Param #"] + (["Connected to"] if branched else [])]
    for layer in model._operations:
        row = [
            f"{layer.name} ({type(layer).__name__})",
            _MARKUP.sub("", format_layer_shape(layer)),
            _parameters(layer),
        ]
        rows.append(row + ([_connections(layer, nodes)] if branched else []))
    return rows


def _parameters(layer: Any) -> str:
    if not hasattr(layer, "built"):
        return "0"
    return f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"


def _is_branched(model: Any) -> bool:
    """Whether the model is more than a chain; only then Keras prints what is connected to what."""
    from keras import tree

    callers: set[int] = set()
    for level in model._nodes_by_depth.values():
        if len(level) > 1 or (level and len(tree.flatten(level[0].input_tensors)) > 1):
            return True
        for node in level:
            if id(node.operation) in callers:
                return True
            callers.add(id(node.operation))
    return False


def _connections(layer: Any, nodes: set[int]) -> str:
    sources: list[str] = []
    for node in layer._inbound_nodes:
        if id(node) in nodes:
            for tensor in node.input_tensors:
                history = tensor._keras_history
                sources.append(f"{history.operation.name}[{history.node_index}][{history.tensor_index}]")
    return ", ".join(sources) or "-"


def _totals(model: Any) -> list[str]:
    from keras.src.utils.summary_utils import count_params, readable_memory_size, weight_memory_size

    trainable, fixed = model.trainable_weights, model.non_trainable_weights
    lines: list[str] = []
    for title, groups in (("Total", (trainable, fixed)), ("Trainable", (trainable,)), ("Non-trainable", (fixed,))):
        count = sum(count_params(group) for group in groups)
        size = readable_memory_size(sum(weight_memory_size(group) for group in groups))
        lines.append(f" {title} params: {count:,} ({size})")
    return lines


def _rule(marks: str, widths: list[int]) -> str:
    left, bar, cross, right = marks
    return left + cross.join(bar * (width + 2) for width in widths) + right


def _line(mark: str, cells: list[str], widths: list[int]) -> str:
    """The cells between marks; the parameter counts stand on the right of their column."""
    padded = [
        cell.rjust(width) if column == 2 else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"{mark} " + f" {mark} ".join(padded) + f" {mark}"
