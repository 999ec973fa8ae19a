"""Bodies that are JSON and mean one thing are read; all others are refused in words, by whatever they break."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.base.errors import MalformedBody, UnsupportedMediaType
from core.base.http import Request, dump_json
from core.base.json_body import read_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert read_json(dump_json(value)) == value
    assert read_json(json.dumps(value).encode("utf-8-sig")) == value


def test_a_lone_surrogate_comes_back_as_it_was_sent() -> None:
    assert dump_json(read_json(b'"\\ud800"')) == b'"\\ud800"'


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"{", "line 1, column 2"),
        (b'{"a": 1,\n "b": }', "line 2, column 7"),
        (b'"\xff"', "UTF-8"),
        ('{"ä": 1}'.encode("utf-16"), "UTF-8"),
        (b"[NaN]", "NaN"),
        (b"[-Infinity]", "-Infinity"),
        (b"[1e999]", "too large"),
        (b"-1e400", "too large"),
        (b"1" * 5000, "thousands of digits"),
        (b'{"a": 1, "b": 2, "a": 3}', '"a" comes twice'),
        (b'[{"a": {"\\ud800": 1, "\\ud800": 2}}]', "\\ud800"),
        (b"[" * 201 + b"]" * 201, "200 levels"),
        (b'{"a":' * 900 + b"1" + b"}" * 900, "200 levels"),
        (b"[" * 100_000, "nested too deeply"),
        (b"\x00", "not valid JSON"),
    ],
)
def test_a_body_that_means_nothing_or_two_things_is_refused(body: bytes, told: str) -> None:
    with pytest.raises(MalformedBody) as refused:
        read_json(body)
    assert told in refused.value.detail


def test_two_hundred_levels_are_read() -> None:
    assert read_json(b"[" * 200 + b"]" * 200)


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8", "application/vnd.x+json", ""])
def test_json_is_read_under_any_of_its_names_and_under_none(kind: str) -> None:
    assert Request("POST", {}, {}, {"content-type": kind}, b"{}").json_object() == {}


@pytest.mark.parametrize(
    "kind", ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "text/json", "x"]
)
def test_a_body_that_says_it_is_something_else_is_not_read(kind: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        Request("POST", {}, {}, {"content-type": kind}, b"{}").json()


def test_an_empty_body_is_called_empty_whatever_its_type() -> None:
    with pytest.raises(MalformedBody, match="empty"):
        Request("POST", {}, {}, {"content-type": "text/plain"}, b"").json()
