"""Who is asking: bearer tokens (JWT) of the issuing ASP.NET service (HS256), of an identity provider with public
keys such as Entra ID (RS256, ES256), or of both.

The token's algorithm says only which of the two it is from. Each has its own keys and its own claims: a
public key is never a secret, and a secret never checks a token that names another algorithm.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import jwt

from core.base.errors import Unauthorized
from core.base.jwks import PublicKey, is_safe_address
from core.base.settings import Settings

_SOAP = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
_ID_CLAIMS = (f"{_SOAP}nameidentifier", "nameid", "sub", f"{_SOAP}name", "unique_name")
_NAME_CLAIMS = (f"{_SOAP}name", "unique_name", "name", "preferred_username")
_ROLE_CLAIMS = ("role", "roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role")
# Entra ID's `sub` differs from app to app, its `oid` does not.
_PROVIDER_ID_CLAIMS = ("oid", "sub")

# Tokens of the issuing service are below 1 KB; Entra ID's may list two hundred groups.
MAX_TOKEN_LENGTH = 16_384
_TOKEN = re.compile(r"[\w-]+\.[\w-]+\.[\w-]*", re.ASCII)


@dataclass(frozen=True)
class User:
    """An authenticated user. `key` is what rows and blobs of theirs are filed under.

    `issuer` is "" for the issuing service: the same id from elsewhere is somebody else.
    """

    id: str
    name: str
    is_admin: bool = False
    issuer: str = ""

    @property
    def key(self) -> str:
        """32 hexadecimal digits from issuer and id, which themselves may hold characters that keys may not."""
        known_as = self.id.encode("utf-8", "surrogatepass")
        if not self.issuer:
            return hashlib.sha256(known_as).hexdigest()[:32]
        return hmac.digest(self.issuer.encode(), known_as, "sha256").hex()[:32]


class Keys(Protocol):
    """The provider's public keys."""

    async def find(self, kid: str) -> PublicKey | None: ...


def identity_problems(settings: Settings) -> list[str]:
    """What keeps tokens from being checked as they should, in words for the operator."""
    if not settings.jwt_jwks_url:
        if settings.aspnet_jwt_key.get_secret_value():
            return []
        return ["Neither the signing key ASPNET_JWT_KEY nor JWT_JWKS_URL is set, so every token is refused."]
    problems = [
        f"JWT_JWKS_URL needs {name} beside it; until it is set, RS256 and ES256 tokens are refused."
        for name, value in (("JWT_ISSUER", settings.jwt_issuer), ("JWT_AUDIENCE", settings.jwt_audience))
        if not value
    ]
    if not is_safe_address(settings.jwt_jwks_url):
        problems.append("JWT_JWKS_URL must begin with https://; until it does, RS256 and ES256 tokens are refused.")
    return problems


async def authenticate(authorization: str, settings: Settings, keys: Keys) -> User:
    """The user of an `Authorization` header. Raises Unauthorized with what is wrong with it, and Unavailable."""
    scheme, _, token = authorization.partition(" ")
    token = token.strip(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized("Send a bearer token in the Authorization header.")
    if len(token) > MAX_TOKEN_LENGTH:
        raise Unauthorized("The token is too long.")
    if not _TOKEN.fullmatch(token):
        raise _invalid()
    header = _header(token)
    match header.get("alg"):
        case "HS256":
            return _service_user(token, settings)
        case "RS256" | "ES256" as algorithm:
            return await _provider_user(token, algorithm, header.get("kid"), settings, keys)
        case _:
            raise _invalid()


def _service_user(token: str, settings: Settings) -> User:
    secret = settings.aspnet_jwt_key.get_secret_value()
    if not secret:
        raise _not_configured()
    claims = _claims(token, secret.encode(), "HS256")
    return _user(claims, _ID_CLAIMS, "", settings)


async def _provider_user(token: str, algorithm: str, kid: Any, settings: Settings, keys: Keys) -> User:
    if not settings.jwt_jwks_url or identity_problems(settings):
        raise _not_configured()
    key = await keys.find(kid) if isinstance(kid, str) else None
    if key is None or key.algorithm != algorithm:
        raise _invalid()
    issuer = settings.jwt_issuer
    claims = _claims(token, key.key, algorithm, issuer, settings.jwt_audience)
    return _user(claims, _PROVIDER_ID_CLAIMS, issuer, settings)


def _header(token: str) -> Mapping[str, Any]:
    """What the token says of itself, of which nothing is believed but where to look for its key."""
    try:
        return jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise _invalid() from None


def _claims(
    token: str, key: Any, algorithm: str, issuer: str | None = None, audience: str | None = None
) -> dict[str, Any]:
    """The claims of a token that is signed and valid now. Raises Unauthorized."""
    required = ["exp", *(["iss"] if issuer else []), *(["aud"] if audience else [])]
    try:
        return jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            options={
                "require": required,
                "verify_aud": bool(audience),
                "verify_iss": bool(issuer),
                "verify_iat": False,
                "verify_sub": False,
                "verify_jti": False,
            },
            issuer=issuer,
            audience=audience,
        )
    except jwt.ExpiredSignatureError:
        raise Unauthorized("The token has expired; sign in again.") from None
    except jwt.ImmatureSignatureError:
        raise Unauthorized("The token is not valid yet; check the clock of the machine that issued it.") from None
    except (jwt.InvalidAudienceError, jwt.InvalidIssuerError):
        raise Unauthorized("The token was issued for or by somebody else; sign in again.") from None
    # jwt raises its own errors for bad tokens, ValueError and OverflowError for some malformed claims.
    except (jwt.PyJWTError, ValueError, OverflowError, RecursionError):
        raise _invalid() from None


def _user(claims: Mapping[str, Any], id_claims: tuple[str, ...], issuer: str, settings: Settings) -> User:
    user_id = _first(claims, id_claims)
    if not user_id:
        raise Unauthorized("The token names no user; sign in again.")
    is_staff = claims.get("is_staff")
    is_admin = is_staff is True or (isinstance(is_staff, str) and is_staff.lower() == "true")
    if settings.jwt_admin_role:
        is_admin = is_admin or settings.jwt_admin_role in _roles(claims)
    return User(id=user_id, name=_first(claims, _NAME_CLAIMS), is_admin=is_admin, issuer=issuer)


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
        named = value if isinstance(value, list) else [value]
        roles.update(role for role in named if isinstance(role, str))
    return roles


def _invalid() -> Unauthorized:
    return Unauthorized("The token is not valid; sign in again.")


def _not_configured() -> Unauthorized:
    return Unauthorized("No such token can be accepted: the key to check it with is not configured.")
