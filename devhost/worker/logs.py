"""Log records of user code: filtered by host.json's levels per category, written to standard error."""

import logging
import os
import sys
from contextvars import ContextVar

_LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "information": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "none": logging.CRITICAL + 1,
}

invocation: ContextVar[tuple[str, str] | None] = ContextVar("invocation", default=None)
"""Function name and invocation id of the code that logs."""


class _LevelOfCategory(logging.Filter):
    def __init__(self, levels: dict[str, str]) -> None:
        super().__init__()
        self._levels = {name.lower(): _LEVELS.get(level.lower(), logging.INFO) for name, level in levels.items()}
        self._known: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        running = invocation.get()
        category = f"Function.{running[0]}.User" if running else "Host"
        record.category = category
        record.invocation_id = running[1] if running else "-"
        if category not in self._known:
            self._known[category] = self._level(category.lower())
        return record.levelno >= self._known[category]

    def _level(self, category: str) -> int:
        """The most specific entry wins: Function.train.User, then Function.train, Function, default."""
        while category:
            if category in self._levels:
                return self._levels[category]
            category = category.rpartition(".")[0]
        return self._levels.get("default", logging.INFO)


def write_logs(levels: dict[str, str]) -> None:
    """Installs the one handler of the worker; `levels` is `logging.logLevel` of host.json."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_LevelOfCategory(levels))
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s [%(category)s %(invocation_id)s] %(name)s: %(message)s")
    )
    root = logging.getLogger()
    root.addHandler(handler)
    verbose = os.environ.get("PYTHON_ENABLE_DEBUG_LOGGING", "").lower() in ("1", "true")
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    # The SDKs log every HTTP exchange at INFO.
    logging.getLogger("azure.core.pipeline.policies.http_logging_policy").setLevel(logging.WARNING)
