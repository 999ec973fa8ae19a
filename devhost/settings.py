"""Application settings: the environment, `local.settings.json` beneath it, and `%NAME%` in bindings."""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devhost.errors import HostError

# The published account of the storage emulator; not a secret.
_EMULATOR_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
DEFAULT_CONNECTION = "AzureWebJobsStorage"
_EMULATOR = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    f"AccountKey={_EMULATOR_KEY};"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
    "TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
)
_NAME = re.compile(r"%([^%\s]+)%")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file, `{}` when there is none; raises HostError when it does not parse."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise HostError(f"{path.name} is not valid JSON ({error}); correct it.") from error
    if not isinstance(content, dict):
        raise HostError(f"{path.name} must hold a JSON object.")
    return content


@dataclass(frozen=True)
class Settings:
    """`environment` is what the worker gets; an existing variable wins over `Values`, as in Core Tools."""

    environment: dict[str, str]
    host: dict[str, Any]

    @classmethod
    def load(cls, app_dir: Path) -> "Settings":
        """Reads `local.settings.json` of the app folder, if there is one."""
        content = read_json(app_dir / "local.settings.json")
        values = {name: str(value) for name, value in content.get("Values", {}).items() if value is not None}
        return cls(values | dict(os.environ), content.get("Host", {}))

    def get(self, name: str) -> str | None:
        """A setting; a `:` in the name may stand as `__`, as environment variables cannot hold it."""
        return self.environment.get(name, self.environment.get(name.replace(":", "__")))

    def substitute(self, text: str) -> str:
        """Replaces every `%NAME%`; raises HostError for a name that is not set."""

        def value(match: re.Match[str]) -> str:
            found = self.get(match[1])
            if found is None:
                raise HostError(f"%{match[1]}% in '{text}' is not set; add {match[1]} to local.settings.json.")
            return found

        return _NAME.sub(value, text)

    def connection(self, name: str | None) -> str:
        """The connection string of a storage account, by setting name; raises HostError."""
        wanted = name or DEFAULT_CONNECTION
        found = self.get(wanted) or self.get(f"AzureWebJobs{wanted}")
        if not found:
            raise HostError(
                f"the connection setting {wanted} is missing; put a storage connection string into "
                "local.settings.json (identity-based connections are not supported by devhost)."
            )
        return _EMULATOR if found.strip().rstrip(";").lower() == "usedevelopmentstorage=true" else found

    def is_disabled(self, function: str) -> bool:
        """Whether `AzureWebJobs.<function>.Disabled` says so."""
        plain = self.get(f"AzureWebJobs.{function}.Disabled") or self.get(f"AzureWebJobs_{function}_Disabled")
        return (plain or "").strip().lower() in ("1", "true")
