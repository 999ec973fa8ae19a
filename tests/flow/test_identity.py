"""Who gets in over HTTP, with the issuing service's tokens and those of an identity provider side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from core.base.auth import MAX_TOKEN_LENGTH
from tests.harness import Backend, bearer, classifier
from tests.provider import AUDIENCE, ISSUER, Provider, SigningKey

GRAPHS = "/api/network/graphs/"


def settings(provider: Provider) -> dict[str, str]:
    names = {"JWT_JWKS_URL": provider.url, "JWT_ISSUER": ISSUER, "JWT_AUDIENCE": AUDIENCE}
    return {**names, "JWT_ADMIN_ROLE": "Canvas.Admin"}


async def test_people_of_both_issuers_work_side_by_side_and_see_nothing_of_each_other(
    backend: Callable[..., Backend],
) -> None:
    key = SigningKey("2026-11", "ES256")
    async with Provider(key) as provider:
        served = backend(**settings(provider))
        async with httpx.AsyncClient(base_url=served.url, trust_env=False, timeout=60) as http:

            async def call(token: str, path: str = GRAPHS, graph: dict[str, Any] | None = None) -> httpx.Response:
                method = "GET" if graph is None else "POST"
                return await http.request(method, path, headers={"Authorization": f"Bearer {token}"}, json=graph)

            ada = key.token(oid="3f0c")
            made = await call(ada, graph=classifier())
            assert made.status_code == 201
            assert [graph["id"] for graph in (await call(ada)).json()] == [made.json()["id"]]
            for other in (key.token(oid="another"), bearer("3f0c"), bearer("ada")):
                assert (await call(other)).json() == []
                assert (await call(other, made.headers["location"])).status_code == 404
            refresh = "/api/network/layers/refresh-manifest/"
            assert (await call(ada, refresh)).status_code == 403
            assert (await call(key.token(roles=["Canvas.Admin"]), refresh)).status_code == 200

            provider.status = 500
            assert (await call(ada)).status_code == 200, "known keys go on working"
            assert (await http.get("/health/")).status_code == 200
            for token in (
                bearer("ada", key="another key of thirty-two bytes or more"),
                bearer("ada", now=0),
                key.token(aud="api://another"),
                SigningKey("2026-11", "ES256").token(),
                ada[:-4] + "AAAA",
                "x" * (MAX_TOKEN_LENGTH + 1),
                "x",
            ):
                refused = await call(token)
                assert refused.status_code == 401, (token, refused.text)
                assert refused.headers["www-authenticate"] == 'Bearer realm="api"'
                assert refused.headers["x-content-type-options"] == "nosniff"
                assert isinstance(refused.json()["detail"], str)


async def test_without_the_providers_keys_its_tokens_are_a_503_and_health_says_why(
    backend: Callable[..., Backend],
) -> None:
    key = SigningKey("2026-11", "ES256")
    async with Provider(key) as provider:
        provider.status = 503
        served = backend(**settings(provider), ASPNET_JWT_KEY="")
        async with httpx.AsyncClient(base_url=served.url, trust_env=False, timeout=60) as http:
            health = await http.get("/health/")
            assert health.status_code == 503 and int(health.headers["retry-after"]) > 0
            assert ["JWT_JWKS_URL" in reason for reason in health.json()["reasons"]] == [True]
            answer = await http.get(GRAPHS, headers={"Authorization": f"Bearer {key.token()}"})
            assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
            assert (await http.get(GRAPHS, headers={"Authorization": f"Bearer {bearer()}"})).status_code == 401
