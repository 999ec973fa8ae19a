"""Multipart forms: the other door of the canvas, for small files in the body of a request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, FormParser, parse_options_header

from core.base.errors import BadRequest, UnsupportedMediaType
from core.base.http import Request

# The training form has some thirty fields; JSON lists of column names are the longest of them.
_MOST_FIELDS = 200
_LONGEST_FIELD = 1024 * 1024


@dataclass
class Upload:
    """A file of a form: the client's name for it, which is never used as a path, and its bytes."""

    filename: str
    content: bytes


@dataclass
class Form:
    """The fields' texts by name (a list where a name came more than once) and the files by name."""

    fields: dict[str, Any] = field(default_factory=dict[str, Any])
    files: dict[str, Upload] = field(default_factory=dict[str, Upload])

    def file(self, name: str, extensions: tuple[str, ...]) -> Upload:
        """The file of that name. Raises BadRequest if it is missing or its extension is another."""
        upload = self.files.get(name)
        if upload is None:
            raise BadRequest({name: ["Attach a file under this name."]})
        if not upload.filename.lower().endswith(extensions):
            raise BadRequest({name: [f"The file's name must end in {' or '.join(extensions)}."]})
        return upload


def parse_form(request: Request) -> Form:
    """The request's multipart form. Raises UnsupportedMediaType for another type, BadRequest if it is broken."""
    kind, options = parse_options_header(request.header("content-type"))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise UnsupportedMediaType("Send the form as multipart/form-data.")
    form = Form()

    def on_field(item: Field) -> None:
        name, text = _text(item.field_name), _text(item.value)
        before = form.fields.get(name)
        if before is None:
            form.fields[name] = text
        else:
            form.fields[name] = [*before, text] if isinstance(before, list) else [before, text]

    def on_file(item: File) -> None:
        item.file_object.seek(0)
        form.files[_text(item.field_name)] = Upload(_text(item.file_name), item.file_object.read())
        item.close()

    # The body is in memory already, so nothing is gained by spooling a part of it to a disk.
    limits = {
        "MAX_FIELDS": _MOST_FIELDS,
        "MAX_FIELD_SIZE": _LONGEST_FIELD,
        "MAX_MEMORY_FILE_SIZE": len(request.body) + 1,
    }
    try:
        parser = FormParser("multipart/form-data", on_field, on_file, None, options[b"boundary"], None, limits)
        parser.write(request.body)
        parser.finalize()
    except FormParserError:
        raise BadRequest("The form cannot be read; send it as multipart/form-data with a closing boundary.") from None
    return form


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")
