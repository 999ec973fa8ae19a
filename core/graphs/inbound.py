"""Who feeds a layer, as Keras writes it: both forms of `inbound_nodes`, and the ends of a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from core.base.errors import BadRequest

Path = tuple[int | str, ...]


@dataclass(frozen=True)
class Feed:
    """One tensor: output `output` of the source's call feeds an argument, inside it at `path`."""

    source: str
    source_call: int
    output: int
    argument: int | str
    path: Path | None

    def from_node(self, node_id: str, shift: int) -> Feed:
        """The same with the source's node id for its layer name, and calls counted from 0."""
        return replace(self, source=node_id, source_call=max(self.source_call - shift, 0))

    def meta(self) -> dict[str, Any]:
        """What an edge's `meta` has to say; nothing for a plain edge."""
        said: dict[str, Any] = {}
        if self.source_call:
            said["source_call"] = self.source_call
        if self.output:
            said["output"] = self.output
        if self.argument != 0:
            said["argument"] = self.argument
        if self.path is not None:
            said["path"] = list(self.path)
        return said


@dataclass
class Called:
    """One call of a layer: its tensors, and its arguments that are none."""

    feeds: list[Feed] = field(default_factory=list[Feed])
    literals: dict[str, Any] = field(default_factory=dict[str, Any])


def modern_calls(inbound: list[Any]) -> list[Called]:
    """Keras 3: `[{"args": […], "kwargs": {…}}]` with tensors as `__keras_tensor__` objects."""
    calls: list[Called] = []
    for node in inbound:
        if not isinstance(node, dict):
            raise _refused("An entry of inbound_nodes is not an object.")
        args, kwargs = node.get("args") or [], node.get("kwargs") or {}
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            raise _refused("args must be a list and kwargs an object in inbound_nodes.")
        call = Called()
        arguments: list[tuple[int | str, Any]] = [*enumerate(args), *kwargs.items()]
        for argument, value in arguments:
            tensors = list(_modern_tensors(value, ()))
            if tensors:
                call.feeds += _feeds(argument, tensors)
            else:
                _keep_literal(call, argument, value)
        calls.append(call)
    return calls


def _modern_tensors(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        config = value.get("config")
        yield path, _tensor(config.get("keras_history") if isinstance(config, dict) else None)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _modern_tensors(item, (*path, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _modern_tensors(item, (*path, index))


def legacy_calls(inbound: list[Any], names: set[str]) -> list[Called]:
    """Keras 2: each call a list of `[layer, node, tensor, kwargs]`; tensors in kwargs are lists as well."""
    calls: list[Called] = []
    for node in inbound:
        entries: Any = [node] if _is_reference(node, names) else node
        if isinstance(entries, dict):
            raise _refused("inbound_nodes mixes its old and its new form.")
        if not isinstance(entries, list) or not all(_is_reference(entry, names) for entry in entries):
            raise _refused("An entry of inbound_nodes does not read as [layer, node, tensor].")
        call = Called()
        call.feeds += _feeds(
            0, [((index,), _tensor(entry[:3])) for index, entry in enumerate(entries)], single_is_bare=True
        )
        for key, value in _legacy_kwargs(entries).items():
            tensors = list(_legacy_tensors(value, (), names))
            if tensors:
                call.feeds += _feeds(key, tensors)
            else:
                _keep_literal(call, key, value)
        calls.append(call)
    return calls


def _legacy_kwargs(entries: list[Any]) -> dict[str, Any]:
    return next((entry[3] for entry in entries if len(entry) > 3 and isinstance(entry[3], dict)), {})


def _legacy_tensors(value: Any, path: Path, names: set[str]) -> Iterator[tuple[Path, Any]]:
    if _is_reference(value, names):
        yield path, _tensor(value[:3])
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _legacy_tensors(item, (*path, index), names)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _legacy_tensors(item, (*path, str(key)), names)


def _is_reference(value: Any, names: set[str]) -> bool:
    return isinstance(value, list) and 3 <= len(value) <= 4 and isinstance(value[0], str) and value[0] in names


def _tensor(history: Any) -> tuple[str, int, int]:
    """`[layer, node, tensor]`. Raises BadRequest for anything else."""
    if (
        not isinstance(history, list)
        or len(history) != 3
        or not isinstance(history[0], str)
        or not all(
            isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 1000 for number in history[1:]
        )
    ):
        raise _refused("A tensor in inbound_nodes does not say its layer, node and number.")
    return history[0], history[1], history[2]


def _feeds(
    argument: int | str, tensors: list[tuple[Path, tuple[str, int, int]]], *, single_is_bare: bool = False
) -> list[Feed]:
    """Feeds with a path only where edge order does not say it: a flat list of several needs none."""
    flat = [path for path, _ in tensors] == [(index,) for index in range(len(tensors))]
    plain = (flat and (len(tensors) > 1 or single_is_bare)) or tensors[0][0] == ()
    return [Feed(*tensor, argument, None if plain else path) for path, tensor in tensors]


def _keep_literal(call: Called, argument: int | str, value: Any) -> None:
    if isinstance(argument, int):
        call.literals.setdefault("args", {})[str(argument)] = value
    else:
        call.literals.setdefault("kwargs", {})[argument] = value


def output_tensors(value: Any, what: str) -> list[Feed]:
    """`input_layers` or `output_layers`, bare, as a list or as an object, flat with paths."""
    found: list[Feed] = []

    def walk(item: Any, path: Path) -> None:
        if isinstance(item, list) and len(item) == 3 and isinstance(item[0], str):
            found.append(Feed(*_tensor(item), 0, path or None))
        elif isinstance(item, list):
            for index, inner in enumerate(item):
                walk(inner, (*path, index))
        elif isinstance(item, dict):
            for key, inner in item.items():
                walk(inner, (*path, str(key)))
        else:
            raise _refused(f"{what} does not read as [layer, node, tensor].")

    walk(value if value is not None else [], ())
    return found


def _refused(text: str) -> BadRequest:
    return BadRequest({"model": [text]})
