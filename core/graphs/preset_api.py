"""Presets over HTTP: everybody reads them, administrators change them."""

from __future__ import annotations

from core.base.api import Routes
from core.base.clients import storage
from core.base.clock import new_id, now, timestamp
from core.base.http import Request, Response
from core.graphs import preset_contract as contract
from core.graphs.body import read_graph_body
from core.graphs.preset import Preset
from core.graphs.preset_store import PresetStore

routes = Routes()


@routes.get("api/network/presets", contract.LIST, anonymous=True)
async def list_presets(request: Request) -> Response:
    return Response.json([preset.view() for preset in await PresetStore(storage()).list()])


@routes.post("api/network/presets", contract.CREATE, admin=True)
async def create_preset(request: Request) -> Response:
    at = timestamp(now())
    preset = Preset(new_id(), "", "", "", {}, at, at).changed(read_graph_body(request), at, whole=True)
    await PresetStore(storage()).create(preset)
    return Response.json(preset.view(), 201, {"Location": f"/api/network/presets/{preset.id}/"})


@routes.get("api/network/presets/{preset_id}", contract.READ, anonymous=True)
async def read_preset(request: Request) -> Response:
    return Response.json((await PresetStore(storage()).get(request.id("preset_id"))).view())


@routes.put("api/network/presets/{preset_id}", contract.REPLACE, admin=True)
async def replace_preset(request: Request) -> Response:
    return await _change(request, whole=True)


@routes.patch("api/network/presets/{preset_id}", contract.CHANGE, admin=True)
async def patch_preset(request: Request) -> Response:
    return await _change(request, whole=False)


@routes.delete("api/network/presets/{preset_id}", contract.DELETE, admin=True)
async def delete_preset(request: Request) -> Response:
    await PresetStore(storage()).delete(request.id("preset_id"))
    return Response.empty()


async def _change(request: Request, *, whole: bool) -> Response:
    sent = read_graph_body(request)
    at = timestamp(now())
    preset = await PresetStore(storage()).change(
        request.id("preset_id"), lambda before: before.changed(sent, at, whole=whole)
    )
    return Response.json(preset.view())
