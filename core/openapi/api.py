"""The document and its page over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cache

from core.base.api import Routes
from core.base.http import Request, Response, dump_json
from core.base.page import Page
from core.openapi.contract import READ_DOCUMENT, READ_PAGE
from core.openapi.document import build
from core.openapi.page import html_page


def documents(tables: Sequence[Routes]) -> Routes:
    """The routes of the documents of `tables`, themselves among them."""
    routes = Routes()
    all_tables = [*tables, routes]

    @cache
    def document() -> Page:
        return Page.of(dump_json(build(all_tables)))

    @routes.get("api/openapi.json", READ_DOCUMENT, anonymous=True)
    async def read_document(request: Request) -> Response:
        # The first one takes a moment, and the event loop has others to serve.
        return (await asyncio.to_thread(document)).answer(request)

    @routes.get("api/docs", READ_PAGE, anonymous=True)
    async def read_page(request: Request) -> Response:
        return html_page().answer(request)

    return routes
