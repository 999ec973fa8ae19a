"""Bearer tokens for a local run: HS256 JWTs with the claims that the issuing service writes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid

LIFETIME_SECONDS = 2 * 60 * 60


def bearer_token(key: str, *, user: str, admin: bool, now: int, user_id: str = "") -> str:
    """A token for the person called `user`; without `user_id` the same name is the same id in every run.

    `now` is in seconds since 1970; the token is valid from then on for two hours.
    """
    claims: dict[str, object] = {
        "unique_name": user,
        "nameid": user_id or str(uuid.uuid5(uuid.NAMESPACE_DNS, user)),
        "role": "Admin" if admin else "User",
        "nbf": now,
        "iat": now,
        "exp": now + LIFETIME_SECONDS,
    }
    if admin:
        claims["is_staff"] = True
    signed = f"{_segment({'alg': 'HS256', 'typ': 'JWT'})}.{_segment(claims)}"
    signature = hmac.new(key.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{_base64url(signature)}"


def _segment(part: dict[str, object]) -> str:
    return _base64url(json.dumps(part, separators=(",", ":")).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
