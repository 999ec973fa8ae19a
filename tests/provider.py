"""An identity provider on loopback, as Entra ID is one: keys at an address, and tokens signed with them."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ISSUER = "https://login.example/tenant/v2.0"
AUDIENCE = "api://network-canvas"


class SigningKey:
    """A key pair with its id; `algorithm` is RS256 or ES256."""

    def __init__(self, kid: str, algorithm: str = "RS256", bits: int = 2048) -> None:
        self.kid, self.algorithm = kid, algorithm
        self.private: Any = (
            rsa.generate_private_key(65537, bits) if algorithm == "RS256" else ec.generate_private_key(ec.SECP256R1())
        )

    @property
    def jwk(self) -> dict[str, Any]:
        """The public half, as a provider publishes it."""
        kind = RSAAlgorithm if self.algorithm == "RS256" else ECAlgorithm
        return {**json.loads(kind.to_jwk(self.private.public_key())), "kid": self.kid, "use": "sig"}

    def token(self, *, algorithm: str = "", headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token as Entra ID writes it; a claim of None is left out."""
        now = int(time.time())
        usual = {"iss": ISSUER, "aud": AUDIENCE, "exp": now + 3600, "nbf": now - 300, "iat": now - 300}
        person = {"oid": "3f0c", "sub": "pairwise", "name": "Ada"}
        chosen = {name: value for name, value in {**usual, **person, **claims}.items() if value is not None}
        return jwt.encode(chosen, self.private, algorithm or self.algorithm, {"kid": self.kid, **(headers or {})})


class Provider:
    """Serves `answer` at `url`, as it is at the time; counts how often it was asked."""

    def __init__(self, *keys: SigningKey) -> None:
        self.answer: Any = {"keys": [key.jwk for key in keys]}
        self.status = 200
        self.headers: dict[str, str] = {}
        self.asked = 0
        self.silent = False
        self.unanswered = asyncio.Event()
        self.url = ""
        self._runner = web.ServerRunner(web.Server(self._serve), shutdown_timeout=0.1)

    async def __aenter__(self) -> Provider:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/keys"
        return self

    async def __aexit__(self, *details: object) -> None:
        await self._runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.Response:
        self.asked += 1
        if self.silent:
            self.unanswered.set()
            await asyncio.Event().wait()
        text = self.answer if isinstance(self.answer, str) else json.dumps(self.answer)
        return web.Response(text=text, status=self.status, headers=self.headers, content_type="application/json")
