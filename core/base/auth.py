"""Who is asking: bearer tokens (JWT, HS256), as the issuing ASP.NET service writes them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from core.base.errors import Unauthorized
from core.base.settings import Settings

_SOAP = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
_ID_CLAIMS = (f"{_SOAP}nameidentifier", "nameid", "sub", f"{_SOAP}name", "unique_name")
_NAME_CLAIMS = (f"{_SOAP}name", "unique_name", "name")
_ROLE_CLAIMS = ("role", "roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role")

# Tokens of the issuing service are below 1 KB; a longer one is not worth a signature check.
MAX_TOKEN_LENGTH = 8192


@dataclass(frozen=True)
class User:
    """An authenticated user. `key` is what rows and blobs of theirs are filed under."""

    id: str
    name: str
    is_admin: bool = False

    @property
    def key(self) -> str:
        """32 hexadecimal digits from the id, which itself may hold characters that keys may not."""
        return hashlib.sha256(self.id.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def authenticate(authorization: str, settings: Settings) -> User:
    """The user of an `Authorization` header. Raises Unauthorized with what is wrong with it."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized("Send a bearer token in the Authorization header.")
    key = settings.aspnet_jwt_key.get_secret_value()
    if not key:
        raise Unauthorized("No token can be accepted: the signing key of this service is not configured.")
    if len(token) > MAX_TOKEN_LENGTH:
        raise Unauthorized("The token is too long.")
    return _user(_claims(token.strip(), key), settings)


def _claims(token: str, key: str) -> dict[str, Any]:
    try:
        return jwt.decode(
            token,
            key.encode(),
            algorithms=["HS256"],
            options={
                "require": ["exp"],
                "verify_aud": False,
                "verify_iss": False,
                "verify_iat": False,
                "verify_sub": False,
                "verify_jti": False,
            },
        )
    except jwt.ExpiredSignatureError:
        raise Unauthorized("The token has expired; sign in again.") from None
    except jwt.ImmatureSignatureError:
        raise Unauthorized("The token is not valid yet; check the clock of the machine that issued it.") from None
    # jwt raises its own errors for bad tokens, ValueError and OverflowError for some malformed claims.
    except (jwt.PyJWTError, ValueError, OverflowError):
        raise Unauthorized("The token is not valid; sign in again.") from None


def _user(claims: Mapping[str, Any], settings: Settings) -> User:
    user_id = _first(claims, _ID_CLAIMS)
    if not user_id:
        raise Unauthorized("The token names no user; sign in again.")
    is_staff = claims.get("is_staff")
    is_admin = is_staff is True or (isinstance(is_staff, str) and is_staff.lower() == "true")
    if settings.jwt_admin_role:
        is_admin = is_admin or settings.jwt_admin_role in _roles(claims)
    return User(id=user_id, name=_first(claims, _NAME_CLAIMS), is_admin=is_admin)


def _first(claims: Mapping[str, Any], names: tuple[str, ...]) -> str:
    for name in names:
        value = claims.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip()
    return ""


def _roles(claims: Mapping[str, Any]) -> set[str]:
    roles: set[str] = set()
    for name in _ROLE_CLAIMS:
        value = claims.get(name)
        roles.update([value] if isinstance(value, str) else value if isinstance(value, list) else [])
    return roles
