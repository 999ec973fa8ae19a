"""The first bytes of an upload: what can be a CSV."""

from __future__ import annotations

import pytest

from core.uploads.landing import UploadRefused, check_head


@pytest.mark.parametrize(
    "head",
    [
        b"a,b\n1,2\n",
        b"\xef\xbb\xbfa;b\r\n1,5;2\r\n",
        "ą,ł\n1,2\n".encode("cp1250"),
        "a\tb\n1\t2\n".encode("utf-16"),
        b'"a ""quoted"" name",b\n1,2\n',
    ],
)
def test_text_of_any_encoding_may_be_a_csv(head: bytes) -> None:
    check_head(head)


@pytest.mark.parametrize(
    ("head", "named"),
    [
        (b"PK\x03\x04rest", "zip or Excel"),
        (b"%PDF-1.7", "PDF"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"\x89PNG\r\n", "picture"),
        (b"a,b\n\0\0\0", "binary"),
        (b"\n <!DOCTYPE html><html>", "web page"),
    ],
)
def test_what_cannot_be_a_csv_is_named(head: bytes, named: str) -> None:
    with pytest.raises(UploadRefused, match=named):
        check_head(head)
