"""Cross-origin rules of the host: which origins may call, and whether with credentials."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devhost.errors import HostError


@dataclass(frozen=True)
class Cors:
    """`origins` as configured; `*` allows all, which browsers accept only without credentials."""

    origins: frozenset[str]
    credentials: bool

    @classmethod
    def create(cls, origins: str | None, credentials: bool, local: dict[str, Any]) -> "Cors":
        """From the command line, else from `Host` of local.settings.json; raises HostError."""
        text = origins if origins is not None else str(local.get("CORS") or "")
        allowed = frozenset(part.strip().rstrip("/").lower() for part in text.split(",") if part.strip())
        with_credentials = credentials or (origins is None and bool(local.get("CORSCredentials", False)))
        if "*" in allowed and with_credentials:
            raise HostError("CORS '*' and CORSCredentials cannot go together; name the origins.")
        return cls(allowed, with_credentials)

    def is_preflight(self, method: str, headers: Mapping[str, str]) -> bool:
        """Whether the request only asks for permission."""
        return method == "OPTIONS" and "Origin" in headers and "Access-Control-Request-Method" in headers

    def headers(self, request: Mapping[str, str], preflight: bool = False) -> dict[str, str]:
        """The headers that tell the browser; none for an origin that is not allowed."""
        origin = request.get("Origin")
        if origin is None or not self.origins:
            return {}
        everyone = "*" in self.origins
        if not everyone and origin.lower() not in self.origins:
            return {}
        found = {"Access-Control-Allow-Origin": "*" if everyone else origin}
        if not everyone:
            found["Vary"] = "Origin"
        if self.credentials:
            found["Access-Control-Allow-Credentials"] = "true"
        if preflight:
            found["Access-Control-Allow-Methods"] = request.get("Access-Control-Request-Method", "")
            if wanted := request.get("Access-Control-Request-Headers"):
                found["Access-Control-Allow-Headers"] = wanted
        return found
