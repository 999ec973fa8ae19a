"""Makes the replay of orchestrations cheap: most of its cost is the general parser that the durable SDK uses
for timestamps, while the host only ever sends ISO 8601."""

import sys
from datetime import datetime

_EVENTS = "azure.durable_functions.models.history.HistoryEvent"


def speed_up_replay() -> None:
    """Gives the durable SDK, if the app has loaded it, the standard library's ISO 8601 parser."""
    module = sys.modules.get(_EVENTS)
    if module is not None and hasattr(module, "dt_parse"):
        setattr(module, "dt_parse", datetime.fromisoformat)  # noqa: B010 - a module attribute pyright cannot see
