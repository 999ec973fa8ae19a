"""Who may call: access keys, checked only with `--enable-auth`, and the origins that browsers may call from."""

import hmac
import json
import os
import secrets
from pathlib import Path
from typing import Any

from aiohttp.web import BaseRequest

from devhost.errors import HostError


class Keys:
    """The keys of one data folder (`keys.json`), made on first use: master, default, and those of the webhooks.

    More keys may be added under `functions`: `{"functions": {"<name>": "<key>"}}`."""

    def __init__(self, data: Path, enabled: bool) -> None:
        self._enabled = enabled
        path = data / "keys.json"
        if not path.is_file():
            names = ("master", "default", "durabletask_extension", "blobs_extension")
            partial = path.with_suffix(".part")
            partial.write_text(json.dumps({name: secrets.token_urlsafe(40) for name in names}, indent=2))
            os.chmod(partial, 0o600)
            os.replace(partial, path)
        self._keys: dict[str, Any] = json.loads(path.read_text())

    def __getitem__(self, name: str) -> str:
        return self._keys[name]

    def allow(self, request: BaseRequest, level: str, function: str = "") -> bool:
        """Whether the request may call what has that authLevel; a webhook's is the name of its key."""
        if not self._enabled or level == "ANONYMOUS":
            return True
        accepted = [self._keys["master"]]
        if level == "FUNCTION":
            accepted += [self._keys["default"], self._keys.get("functions", {}).get(function, "")]
        elif level in self._keys:
            accepted.append(self._keys[level])
        given = request.headers.get("x-functions-key") or request.query.get("code") or ""
        return given != "" and any(hmac.compare_digest(given.encode(), key.encode()) for key in accepted)


class Cors:
    """Origins as on the command line, else as `Host` of local.settings.json has them; `*` allows all, which
    browsers accept only without credentials."""

    def __init__(self, origins: str | None, credentials: bool, local: dict[str, Any]) -> None:
        text = str(local.get("CORS") or "") if origins is None else origins
        self._origins = {part.strip().rstrip("/").lower() for part in text.split(",") if part.strip()}
        self._credentials = credentials or (origins is None and bool(local.get("CORSCredentials", False)))
        if "*" in self._origins and self._credentials:
            raise HostError("CORS '*' and CORSCredentials cannot go together; name the origins.")

    def is_preflight(self, request: BaseRequest) -> bool:
        """Whether the request only asks for permission, which the host gives or not."""
        asks = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        return asks and "Origin" in request.headers and bool(self._origins)

    def headers(self, request: BaseRequest) -> dict[str, str]:
        """The headers that tell the browser; none for an origin that is not allowed."""
        origin = request.headers.get("Origin", "")
        everyone = "*" in self._origins
        if not origin or not (everyone or origin.lower() in self._origins):
            return {}
        found = {"Access-Control-Allow-Origin": "*"}
        if not everyone:
            found = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
        if self._credentials:
            found["Access-Control-Allow-Credentials"] = "true"
        if self.is_preflight(request):
            found["Access-Control-Allow-Methods"] = request.headers["Access-Control-Request-Method"]
            if wanted := request.headers.get("Access-Control-Request-Headers"):
                found["Access-Control-Allow-Headers"] = wanted
        return found
