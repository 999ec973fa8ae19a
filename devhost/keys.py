"""Access keys, checked only with `--enable-auth`: without it every caller may call, as under Core Tools."""

import hmac
import json
import os
import secrets
from pathlib import Path
from typing import Any

from aiohttp.web import BaseRequest

_HEADER = "x-functions-key"


class Keys:
    """The keys of one data folder (`keys.json`), made on first use: master, default, system keys."""

    def __init__(self, data_dir: Path, enabled: bool) -> None:
        self.enabled = enabled
        path = data_dir / "keys.json"
        if not path.is_file():
            fresh = {
                name: secrets.token_urlsafe(40)
                for name in ("master", "default", "durabletask_extension", "blobs_extension")
            }
            partial = path.with_suffix(".part")
            partial.write_text(json.dumps(fresh, indent=2))
            os.chmod(partial, 0o600)
            os.replace(partial, path)
        self._keys: dict[str, Any] = json.loads(path.read_text())

    def system(self, extension: str) -> str:
        """The key of an extension's webhook: `durabletask_extension` or `blobs_extension`."""
        return self._keys[extension]

    def allows_function(self, level: str, name: str, request: BaseRequest) -> bool:
        """Whether the request may call a function of that authLevel. `keys.json` may hold more keys under
        `functions`: `{"functions": {"<name>": "<key>"}}`."""
        if not self.enabled or level == "ANONYMOUS":
            return True
        accepted = [self._keys["master"]]
        if level != "ADMIN":
            accepted += [self._keys["default"], self._keys.get("functions", {}).get(name)]
        return self._holds(request, accepted)

    def allows_extension(self, extension: str, request: BaseRequest) -> bool:
        """Whether the request may call the webhook of an extension."""
        return not self.enabled or self._holds(request, [self._keys["master"], self._keys[extension]])

    def _holds(self, request: BaseRequest, accepted: list[str | None]) -> bool:
        given = (request.headers.get(_HEADER) or request.query.get("code") or "").encode()
        return any(key is not None and hmac.compare_digest(given, key.encode()) for key in accepted)
