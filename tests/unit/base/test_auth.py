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

from core.base.auth import MAX_TOKEN_LENGTH, User, authenticate
from core.base.errors import Unauthorized
from core.base.settings import Settings

KEY = "a signing key of at least thirty-two bytes"
SOAP = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"


def settings(**values: Any) -> Settings:
    return Settings(**{"aspnet_jwt_key": KEY, **values})


def header(key: str = KEY, algorithm: str = "HS256", **claims: Any) -> str:
    claims = {"nameid": "user-1", "exp": int(time.time()) + 60, **claims}
    return f"Bearer {jwt.encode({k: v for k, v in claims.items() if v is not None}, key, algorithm)}"


def by_hand(algorithm: str, signature: Callable[[bytes], bytes]) -> str:
    """A token that no JWT library would write."""

    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    claims = {"nameid": "user-1", "exp": int(time.time()) + 60}
    parts = [part(json.dumps(value).encode()) for value in ({"alg": algorithm, "typ": "JWT"}, claims)]
    return f"Bearer {'.'.join(parts)}.{part(signature('.'.join(parts).encode()))}"


def test_token_of_the_issuing_service_is_accepted() -> None:
    now = int(time.time())
    token = header(unique_name="Ada", nameid="3f0c", role="User", nbf=now - 1, iat=now, exp=now + 7200)
    assert authenticate(token, settings()) == User(id="3f0c", name="Ada", is_admin=False)


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
def test_user_id_is_the_first_claim_that_is_not_empty(claims: dict[str, Any], user_id: str) -> None:
    assert authenticate(header(**claims), settings()).id == user_id


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        "Bearer not-a-token",
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
)
def test_anything_else_is_refused(authorization: str) -> None:
    with pytest.raises(Unauthorized) as refused:
        authenticate(authorization, settings())
    assert refused.value.headers["WWW-Authenticate"].startswith("Bearer")


def test_without_a_key_every_token_is_refused_even_one_signed_with_nothing() -> None:
    with pytest.raises(Unauthorized, match="not configured"):
        authenticate(by_hand("HS256", lambda signed: hmac.digest(b"", signed, "sha256")), settings(aspnet_jwt_key=""))


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
    ],
)
def test_administrators_are_named_by_claim_or_role_setting(
    claims: dict[str, Any], chosen: dict[str, str], is_admin: bool
) -> None:
    assert authenticate(header(**claims), settings(**chosen)).is_admin is is_admin


def test_user_keys_are_safe_as_row_keys_and_differ_for_ids_that_differ() -> None:
    keys = {User(id=user_id, name="").key for user_id in ("a/b", "a\\b", "a?b", "a#b", "ą", "\udc80")}
    assert len(keys) == 6
    assert all(key.isalnum() and len(key) == 32 for key in keys)
