"""Log records of user code: filtered by host.json's levels per category, written to standard error."""

import logging
import os
import sys
from contextvars import ContextVar
from functools import cache

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


def write_logs(levels: dict[str, str]) -> None:
    """Installs the one handler of the worker; `levels` is `logging.logLevel` of host.json."""
    known = {name.lower(): _LEVELS.get(level.lower(), logging.INFO) for name, level in levels.items()}

    @cache
    def level(category: str) -> int:
        """The most specific entry wins: Function.train.User, then Function.train, Function, default."""
        if category in known:
            return known[category]
        return level(category.rpartition(".")[0]) if category else known.get("default", logging.INFO)

    def is_wanted(record: logging.LogRecord) -> bool:
        name, record.invocation_id = invocation.get() or ("", "-")
        record.category = category = f"Function.{name}.User" if name else "Host"
        return record.levelno >= level(category.lower())

    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(is_wanted)
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s [%(category)s %(invocation_id)s] %(name)s: %(message)s")
    )
    verbose = os.environ.get("PYTHON_ENABLE_DEBUG_LOGGING", "").lower() in ("1", "true")
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler])
    # The SDKs log every HTTP exchange at INFO.
    logging.getLogger("azure.core.pipeline.policies.http_logging_policy").setLevel(logging.WARNING)
