"""The public keys of an identity provider (a JWKS, RFC 7517): fetched, kept for a while, and rolled with theirs."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import aiohttp
import jwt
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from core.base.errors import Unavailable

log = logging.getLogger(__name__)

# Keys this old are fetched again in the background. While that fails they go on being used, but not for
# ever: a provider may have withdrawn one.
LIFETIME_SECONDS = 3600.0
LONGEST_LIFETIME_SECONDS = 24 * 3600.0
# Between two fetches, whatever key ids tokens name.
RETRY_SECONDS = 10.0

_FETCH_SECONDS = 1.5
# Entra ID's set is some 20 KB.
_LARGEST_SET = 512 * 1024
_SMALLEST_RSA_BITS = 2048
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class PublicKey:
    """A key and the one algorithm that it may check."""

    algorithm: str
    key: Any


def is_safe_address(url: str) -> bool:
    """Whether keys from there can be trusted to be the provider's: https, or this very machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK))


class KeySet:
    """The keys at one address, by their `kid`. Belongs to one event loop; `clock` gives seconds."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        self._keys: dict[str, PublicKey] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._fetching = asyncio.Lock()
        self._renewal: asyncio.Task[None] | None = None

    async def find(self, kid: str) -> PublicKey | None:
        """The provider's key of that id, None if it has none. Raises Unavailable if that cannot be known now."""
        key = self._keys.get(kid) if self._age < LONGEST_LIFETIME_SECONDS else None
        if key is None:
            await self._fetch()
            key = self._keys.get(kid)
            if key is None and self._tried_at > self._fetched_at:
                raise Unavailable("The keys that tokens are checked with cannot be fetched now; try again in a moment.")
        elif self._age > LIFETIME_SECONDS and (self._renewal is None or self._renewal.done()):
            self._renewal = asyncio.ensure_future(self._fetch())
        return key

    async def known(self) -> bool:
        """Whether there are keys to check tokens with."""
        if self._age >= LONGEST_LIFETIME_SECONDS:
            await self._fetch()
        return self._age < LONGEST_LIFETIME_SECONDS

    @property
    def _age(self) -> float:
        return self._clock() - self._fetched_at

    async def _fetch(self) -> None:
        """Replace the keys by the provider's, unless that was just tried. Who comes meanwhile waits for the same."""
        async with self._fetching:
            if self._clock() - self._tried_at < RETRY_SECONDS:
                return
            try:
                self._keys = _usable(await _download(self._url))
                self._fetched_at = self._tried_at = self._clock()
            except (aiohttp.ClientError, TimeoutError, ValueError, RecursionError) as error:
                log.warning("the keys of JWT_JWKS_URL could not be fetched: %s", type(error).__name__)
                self._tried_at = self._clock()
                if self._age >= LONGEST_LIFETIME_SECONDS:
                    self._keys = {}


async def _download(url: str) -> Any:
    """The JSON at `url`. Raises ValueError, ClientError, TimeoutError."""
    timeout = aiohttp.ClientTimeout(total=_FETCH_SECONDS)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        # A redirect could lead away from https.
        session.get(url, allow_redirects=False) as answer,
    ):
        if answer.status != 200:
            raise ValueError(f"status {answer.status}")
        content = bytearray()
        async for piece in answer.content.iter_any():
            content += piece
            if len(content) > _LARGEST_SET:
                raise ValueError("too large")
    return json.loads(content)


def _usable(document: Any) -> dict[str, PublicKey]:
    """The set's public RSA and P-256 keys for signatures, by `kid`. Raises ValueError if it has none."""
    entries = document.get("keys") if isinstance(document, dict) else None
    keys: dict[str, PublicKey] = {}
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and isinstance(kid := entry.get("kid"), str) and (key := _public_key(entry)):
            keys[kid] = key
    if not keys:
        raise ValueError("no usable key")
    return keys


def _public_key(entry: dict[str, Any]) -> PublicKey | None:
    """The key, None if it is for something else. A private or symmetric key is nothing to check a token with."""
    kind, use, algorithm = entry.get("kty"), entry.get("use", "sig"), entry.get("alg")
    if use != "sig" or "d" in entry:
        return None
    try:
        if kind == "RSA" and algorithm in (None, "RS256"):
            key: Any = RSAAlgorithm.from_jwk(entry)
            return PublicKey("RS256", key) if key.key_size >= _SMALLEST_RSA_BITS else None
        if kind == "EC" and entry.get("crv") == "P-256" and algorithm in (None, "ES256"):
            return PublicKey("ES256", ECAlgorithm.from_jwk(entry))
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        log.warning("a key of JWT_JWKS_URL cannot be read")
    return None


_key_sets: WeakKeyDictionary[asyncio.AbstractEventLoop, KeySet] = WeakKeyDictionary()


def key_set(url: str) -> KeySet:
    """The keys of the running event loop. Nothing is fetched before the first token asks for one."""
    loop = asyncio.get_running_loop()
    if loop not in _key_sets:
        _key_sets[loop] = KeySet(url)
    return _key_sets[loop]
