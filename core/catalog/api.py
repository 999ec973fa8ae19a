"""The five catalogues over HTTP: ready bytes with an ETag, compressed where the caller takes it."""

from __future__ import annotations

import asyncio
from typing import Any

from core.base.api import Routes
from core.base.errors import NotFound
from core.base.http import Request, Response
from core.base.page import Page
from core.catalog.catalog import Catalog, catalog, replace_catalog
from core.catalog.contract import contract_of
from core.catalog.generate import introspect, tensorflow_version
from core.catalog.manifest import KINDS, build_manifest
from core.catalog.pages import list_page, specs

routes = Routes()

_pages: dict[tuple[int, str], Page] = {}


def _page(kind: str) -> Page:
    """The list of one kind, serialised once for each catalogue."""
    key = (id(catalog()), kind)
    if key not in _pages:
        _pages[key] = list_page(catalog(), kind)
    return _pages[key]


def _register(kind: str) -> None:
    """The paths of one kind; each is a path of its own, so that the host's router tells them apart."""

    async def read_list(request: Request) -> Response:
        return _page(kind).answer(request)

    async def read_specs(request: Request) -> Response:
        return Response.json(specs(catalog(), kind))

    async def read_entry(request: Request) -> Response:
        entry = catalog().find(kind, request.path["name"])
        if entry is None:
            raise NotFound(f"There is no {kind.removesuffix('es').removesuffix('s')} of that name in Keras.")
        return Response.json(entry)

    async def refresh(request: Request) -> Response:
        replace_catalog(None)
        return Response.json({"ok": True, "message": _count(catalog(), kind) + " read again from the file."})

    async def regenerate(request: Request) -> Response:
        before = catalog().manifest
        facts = await asyncio.to_thread(introspect)
        manifest = build_manifest(facts, tensorflow_version())
        replace_catalog(Catalog(manifest))
        changed = "they have changed" if manifest != before else "nothing has changed"
        return Response.json({"ok": True, "message": f"{_count(catalog(), kind)} read from Keras; {changed}."})

    base = f"api/network/{kind}"
    told = contract_of(kind)
    routes.get(base, told.read_list, anonymous=True)(read_list)
    routes.get(f"{base}/specs", told.read_specs, anonymous=True)(read_specs)
    routes.get(f"{base}/refresh-manifest", told.refresh, admin=True)(refresh)
    routes.get(f"{base}/regenerate-manifest", told.regenerate, admin=True)(regenerate)
    routes.get(f"{base}/{{name}}", told.read_entry, anonymous=True)(read_entry)


def _count(current: Catalog, kind: str) -> str:
    entries: list[Any] = current.entries(kind)
    return f"{len(entries)} {kind} of Keras {current.versions['keras_version']}"


for _kind in KINDS:
    _register(_kind)
