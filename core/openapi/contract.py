"""The operations of the documents themselves, as clients are told them."""

from __future__ import annotations

from typing import Any

from core.base.description import Answer, Body, Description

TAG = "Service"

READ_DOCUMENT = Description(
    TAG,
    "Read this document",
    {
        200: Answer.json("The OpenAPI 3.1 document of this API.", dict[str, Any], None, "ETag"),
        304: Answer("It has not changed."),
    },
    headers=("If-None-Match",),
)
READ_PAGE = Description(
    TAG,
    "Look at this document",
    {
        200: Answer("A page that shows the document.", {"text/html": Body()}, ("ETag",)),
        304: Answer("It has not changed."),
    },
    headers=("If-None-Match",),
)
