"""What the host is told: the environment, `local.settings.json` beneath it, and host.json."""

import json
import os
import re
from pathlib import Path
from typing import Any

from devhost.errors import HostError

DEFAULT_CONNECTION = "AzureWebJobsStorage"
# The published account of the storage emulator; not a secret.
_EMULATOR = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
)
_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})")
_DEFAULT_HUB = "TestHubName"  # what the real extension uses outside Azure


class Settings:
    """`environment` is what the worker gets: existing variables win over `Values`, as in Core Tools. `host` is the
    section of that name. The rest is what devhost honours of host.json; HostError is raised for what is wrong there."""

    def __init__(self, app: Path, file: Path | None) -> None:
        if not (app / "host.json").is_file():
            raise HostError(f"{app / 'host.json'} is missing; --app must name the folder of a function app.")
        local, host_json = _read(file or app / "local.settings.json"), _read(app / "host.json")
        values = {name: str(value) for name, value in local.get("Values", {}).items() if value is not None}
        self.environment = values | dict(os.environ)
        self.host: dict[str, Any] = local.get("Host", {})
        try:
            self._take(host_json, host_json.get("extensions", {}))
        except (AttributeError, TypeError) as error:
            raise HostError(f"host.json has a value of the wrong type ({error}).") from error

    def _take(self, host_json: dict[str, Any], extensions: dict[str, Any]) -> None:
        durable, blobs, cores = extensions.get("durableTask", {}), extensions.get("blobs", {}), os.cpu_count() or 1
        self.route_prefix: str = extensions.get("http", {}).get("routePrefix", "api").strip("/")
        self.timeout_text: str = host_json.get("functionTimeout", "00:30:00")
        self.timeout = _seconds(self.timeout_text)
        self.log_levels: dict[str, str] = dict(host_json.get("logging", {}).get("logLevel", {}))
        self.hub_name = self.substitute(durable.get("hubName", _DEFAULT_HUB))
        self.concurrent_activities = _count(durable, "maxConcurrentActivityFunctions", 10 * cores)
        self.concurrent_orchestrators = _count(durable, "maxConcurrentOrchestratorFunctions", 10 * cores)
        self.poison_blob_threshold = _count(blobs, "poisonBlobThreshold", 5)
        self.concurrent_blobs = _count(blobs, "maxDegreeOfParallelism", 8 * cores)

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

        return re.sub(r"%([^%\s]+)%", value, text)

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


def _read(path: Path) -> dict[str, Any]:
    """A JSON object from a file, `{}` when there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig")) if path.is_file() else {}
    except ValueError as error:
        raise HostError(f"{path.name} is not valid JSON ({error}); correct it.") from error
    if not isinstance(content, dict):
        raise HostError(f"{path.name} must hold a JSON object.")
    return content


def _seconds(text: str) -> float | None:
    if text == "-1":
        return None
    match = _SPAN.fullmatch(text)
    if match is None:
        raise HostError(f'functionTimeout of host.json must be "hh:mm:ss" or "-1", not {text!r}.')
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def _count(section: dict[str, Any], name: str, default: int) -> int:
    value = section.get(name, default)
    if not isinstance(value, int) or value < 1:
        raise HostError(f"{name} in host.json must be a whole number of at least 1, not {value!r}.")
    return value
