"""host.json: route prefix, function timeout, log levels, and the limits of the durable extension."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devhost.errors import HostError
from devhost.settings import Settings, read_json

_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})")
_DEFAULT_HUB = "TestHubName"  # what the real extension uses outside Azure


@dataclass(frozen=True)
class HostFile:
    """What devhost honours of host.json; all else there is for the real host."""

    route_prefix: str
    function_timeout: float | None
    function_timeout_text: str
    log_levels: dict[str, str]
    hub_name: str
    concurrent_activities: int
    concurrent_orchestrators: int
    poison_blob_threshold: int
    concurrent_blobs: int

    @classmethod
    def load(cls, app_dir: Path, settings: Settings) -> "HostFile":
        """Reads host.json of the app folder; raises HostError for values of the wrong kind."""
        path = app_dir / "host.json"
        if not path.is_file():
            raise HostError(f"{path} is missing; --app must name the folder of a function app.")
        content = read_json(path)
        extensions: dict[str, Any] = content.get("extensions", {})
        durable, blobs = extensions.get("durableTask", {}), extensions.get("blobs", {})
        timeout_text = content.get("functionTimeout", "00:30:00")
        cores = os.cpu_count() or 1
        try:
            return cls(
                route_prefix=extensions.get("http", {}).get("routePrefix", "api").strip("/"),
                function_timeout=None if timeout_text == "-1" else _seconds(timeout_text),
                function_timeout_text=timeout_text,
                log_levels=dict(content.get("logging", {}).get("logLevel", {})),
                hub_name=settings.substitute(durable.get("hubName", _DEFAULT_HUB)),
                concurrent_activities=_count(durable, "maxConcurrentActivityFunctions", 10 * cores),
                concurrent_orchestrators=_count(durable, "maxConcurrentOrchestratorFunctions", 10 * cores),
                poison_blob_threshold=_count(blobs, "poisonBlobThreshold", 5),
                concurrent_blobs=_count(blobs, "maxDegreeOfParallelism", 8 * cores),
            )
        except (AttributeError, TypeError) as error:
            raise HostError(f"host.json has a value of the wrong type ({error}).") from error


def _seconds(text: str) -> float:
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
