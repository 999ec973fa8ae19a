"""JSON schemas of the described types, one definition for each name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from core.base.description import Problem, Problems

_PLACE = "#/components/schemas/{model}"


class _Schema(GenerateJsonSchema):
    """Without the titles that pydantic makes of names; they say nothing that the name does not."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


class Schemas:
    """The schemas of `shapes` and of the two shapes of errors; `definitions` is what they refer to."""

    def __init__(self, shapes: Iterable[Any]) -> None:
        # Types such as `list[GraphView]` are equal, but not the same, wherever they are written.
        wanted: dict[str, Any] = {repr(shape): shape for shape in (*shapes, Problem, Problems)}
        found, rest = TypeAdapter.json_schemas(
            [(name, "validation", TypeAdapter[Any](shape)) for name, shape in wanted.items()],
            schema_generator=_Schema,
            ref_template=_PLACE,
        )
        self._found = {name: schema for (name, _), schema in found.items()}
        definitions: dict[str, Any] = rest.get("$defs", {})
        self.definitions = {name: _plain(definitions[name]) for name in sorted(definitions)}

    def of(self, shape: Any) -> dict[str, Any]:
        """The schema of one of them, mostly a reference."""
        return _plain(self._found[repr(shape)])


def _plain(schema: Any) -> Any:
    """Without titles of types, which repeat the definition's name."""
    if isinstance(schema, dict):
        return {key: _plain(value) for key, value in schema.items() if key != "title" or isinstance(value, dict)}
    return [_plain(item) for item in schema] if isinstance(schema, list) else schema
