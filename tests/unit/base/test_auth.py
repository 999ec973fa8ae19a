"""Bearer tokens: what is accepted, and that nothing else is."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from core.base.auth import MAX_TOKEN_LENGTH, User, identity_problems
from core.base.auth import authenticate as checked
from core.base.errors import Unauthorized
from core.base.jwks import KeySet
from core.base.settings import Settings

KEY = "a signing key of at least thirty-two bytes"
SOAP = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"


async def authenticate(authorization: str, chosen: Settings) -> User:
    """As in a deployment that has no identity provider."""
    return await checked(authorization, chosen, KeySet(""))


def settings(**values: Any) -> Settings:
    return Settings(**{"aspnet_jwt_key": KEY, **values})


def header(key: str = KEY, algorithm: str = "HS256", headers: dict[str, Any] | None = None, **claims: Any) -> str:
    claims = {"nameid": "user-1", "exp": int(time.time()) + 60, **claims}
    return f"Bearer {jwt.encode({k: v for k, v in claims.items() if v is not None}, key, algorithm, headers)}"


def by_hand(algorithm: str, signature: Callable[[bytes], bytes]) -> str:
    """A token that no JWT library would write."""

    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    claims = {"nameid": "user-1", "exp": int(time.time()) + 60}
    parts = [part(json.dumps(value).encode()) for value in ({"alg": algorithm, "typ": "JWT"}, claims)]
    return f"Bearer {'.'.join(parts)}.{part(signature('.'.join(parts).encode()))}"


async def test_token_of_the_issuing_service_is_accepted() -> None:
    now = int(time.time())
    token = header(unique_name="Ada", nameid="3f0c", role="User", nbf=now - 1, iat=now, exp=now + 7200)
    assert await authenticate(token, settings()) == User(id="3f0c", name="Ada", is_admin=False)


@pytest.mark.parametrize(
    ("claims", "user_id"),
    [
        ({f"{SOAP}nameidentifier": "first", "nameid": "second"}, "first"),
        ({f"{SOAP}nameidentifier": "  ", "nameid": "second", "sub": "third"}, "second"),
        ({"nameid": None, "sub": "third", f"{SOAP}name": "fourth"}, "third"),
        ({"nameid": None, f"{SOAP}name": "fourth", "unique_name": "fifth"}, "fourth"),
        ({"nameid": None, "unique_name": "fifth"}, "fifth"),
    ],
)
async def test_user_id_is_the_first_claim_that_is_not_empty(claims: dict[str, Any], user_id: str) -> None:
    assert (await authenticate(header(**claims), settings())).id == user_id


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        "Bearer not-a-token",
        "Bearer a.b.c",
        "Bearer " + base64.urlsafe_b64encode(b"[" * 6000).decode() + ".e30.",
        "Bearer " + base64.urlsafe_b64encode(b'{"alg":' * 900).decode() + ".e30.",
        header() + "=",
        header() + " x",
        header() + "," + header(),
        header(headers={"crit": ["exp"]}),
        header(key="another key of at least thirty-two bytes!"),
        header(exp=int(time.time()) - 1),
        header(exp=None),
        header(exp="soon"),
        header(nbf=int(time.time()) + 60),
        header(algorithm="HS512", key=KEY * 2),
        header(nameid=None),
        header(nameid=""),
        by_hand("none", lambda signed: b""),
        by_hand("HS256", lambda signed: hmac.digest(b"", signed, "sha256")),
        "Bearer " + "a" * (MAX_TOKEN_LENGTH + 1),
    ],
    # Tokens hold the time, which is another in each process that collects.
    ids=lambda token: f"{len(token)} characters",
)
async def test_anything_else_is_refused(authorization: str) -> None:
    with pytest.raises(Unauthorized) as refused:
        await authenticate(authorization, settings())
    assert refused.value.headers["WWW-Authenticate"].startswith("Bearer")


async def test_without_a_key_every_token_is_refused_even_one_signed_with_nothing() -> None:
    unsigned = by_hand("HS256", lambda signed: hmac.digest(b"", signed, "sha256"))
    with pytest.raises(Unauthorized, match="not configured"):
        await authenticate(unsigned, settings(aspnet_jwt_key=""))


@pytest.mark.parametrize(
    ("claims", "chosen", "is_admin"),
    [
        ({"is_staff": True}, {}, True),
        ({"is_staff": "True"}, {}, True),
        ({"is_staff": "no"}, {}, False),
        ({"is_staff": 1}, {}, False),
        ({"role": "Admin"}, {}, False),
        ({"role": "Admin"}, {"jwt_admin_role": "Admin"}, True),
        ({"role": ["User", "Admin"]}, {"jwt_admin_role": "Admin"}, True),
        ({"role": [{"Admin": "Admin"}, 1]}, {"jwt_admin_role": "Admin"}, False),
    ],
)
async def test_administrators_are_named_by_claim_or_role_setting(
    claims: dict[str, Any], chosen: dict[str, str], is_admin: bool
) -> None:
    assert (await authenticate(header(**claims), settings(**chosen))).is_admin is is_admin


def test_user_keys_are_safe_as_row_keys_and_differ_for_ids_that_differ() -> None:
    keys = {User(id=user_id, name="").key for user_id in ("a/b", "a\\b", "a?b", "a#b", "ą", "\udc80")}
    assert len(keys) == 6
    assert all(key.isalnum() and len(key) == 32 for key in keys)


def test_users_of_the_issuing_service_keep_the_keys_that_their_data_is_filed_under() -> None:
    assert User(id="3f0c", name="Ada").key == "993fbc432b4f7f5a2122710cb98bcb12"


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"aspnet_jwt_key": ""}, ["ASPNET_JWT_KEY"]),
        ({}, []),
        ({"jwt_jwks_url": "https://a.example/keys"}, ["JWT_ISSUER", "JWT_AUDIENCE"]),
        ({"jwt_jwks_url": "https://a.example/keys", "jwt_issuer": "i", "jwt_audience": "a"}, []),
        ({"jwt_jwks_url": "http://a.example/keys", "jwt_issuer": "i", "jwt_audience": "a"}, ["https"]),
        ({"jwt_jwks_url": "http://127.0.0.1@a.example/k", "jwt_issuer": "i", "jwt_audience": "a"}, ["https"]),
        ({"jwt_jwks_url": "file:///etc/passwd", "jwt_issuer": "i", "jwt_audience": "a"}, ["https"]),
    ],
)
def test_what_is_missing_or_unsafe_in_the_configuration_is_told(chosen: dict[str, str], told: list[str]) -> None:
    problems = identity_problems(settings(**chosen))
    assert len(problems) == len(told)
    assert all(word in problem for word, problem in zip(told, problems, strict=True))
