"""The id under which one request is found again: in its answer, in the app's log, in the host's telemetry."""

from __future__ import annotations

import re

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")


def trace_id(sent: str, host: str, invocation: str) -> str:
    """32 hexadecimal digits: the trace id of the caller's `traceparent`, else of the host's, else of the invocation.

    `traceparent` is W3C Trace Context, https://www.w3.org/TR/trace-context/; one that is not valid counts as none.
    """
    for header in (sent, host):
        if found := _TRACEPARENT.fullmatch(header):
            return found[1]
    return invocation.replace("-", "").lower()
