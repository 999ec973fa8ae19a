"""Multipart forms as browsers send them, and broken ones."""

from __future__ import annotations

import httpx
import pytest

from core.base.errors import BadRequest, UnsupportedMediaType
from core.base.forms import parse_form
from core.base.http import Request


def request(body: bytes, content_type: str) -> Request:
    return Request("POST", {}, {}, {"content-type": content_type}, body)


def encoded(**parts: object) -> Request:
    sent = httpx.Request("POST", "http://host/", files=parts.pop("files", None), data=parts)  # pyright: ignore
    return request(sent.read(), sent.headers["content-type"])


def test_fields_and_files_come_apart() -> None:
    form = parse_form(encoded(files={"file": ("Dane ą.csv", b"a,b\n" * 500_000)}, y_column="ł", x="1"))
    assert form.fields == {"y_column": "ł", "x": "1"}
    upload = form.file("file", (".csv",))
    assert (upload.filename, len(upload.content)) == ("Dane ą.csv", 2_000_000)


def test_a_name_that_comes_twice_is_a_list() -> None:
    assert parse_form(encoded(files={"f": b""}, x=["a", "b", "c"])).fields["x"] == ["a", "b", "c"]


def test_a_missing_file_and_a_wrong_extension_are_told_under_the_field() -> None:
    form = parse_form(encoded(files={"file": ("data.xlsx", b"x")}))
    for name in ("file", "other"):
        with pytest.raises(BadRequest) as refused:
            form.file(name, (".csv",))
        assert isinstance(refused.value.problem, dict) and name in refused.value.problem


@pytest.mark.parametrize("content_type", ["application/json", "", "multipart/form-data", "text/plain"])
def test_other_types_are_refused_as_such(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        parse_form(request(b"{}", content_type))


@pytest.mark.parametrize("body", [b"--b\r\nbroken", b"no boundary at all", b"--b\r\n\r\nnameless\r\n--b--\r\n"])
def test_a_broken_form_is_a_bad_request_or_empty(body: bytes) -> None:
    try:
        form = parse_form(request(body, "multipart/form-data; boundary=b"))
    except BadRequest:
        return
    assert not form.files
