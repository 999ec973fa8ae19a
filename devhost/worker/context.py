"""The invocation context that a function may ask for by a parameter named `context`."""

import threading
from typing import Any

import azure.functions as func


class TraceContext:
    """W3C trace context of the invocation."""

    def __init__(self, parent: str, state: str) -> None:
        self.trace_parent = parent
        self.trace_state = state
        self.attributes: dict[str, str] = {}
        # Both spellings exist in released workers.
        self.Traceparent = parent
        self.Tracestate = state


class RetryContext:
    """Retry state of a trigger with a retry policy; none is given by this host."""

    retry_count = 0
    max_retry_count = 0
    exception = None


class InvocationContext(func.Context):
    """What `azure.functions.Context` promises."""

    _local: Any = threading.local()

    def __init__(self, name: str, invocation_id: str, directory: str, trace: TraceContext) -> None:
        self._name = name
        self._id = invocation_id
        self._directory = directory
        self._trace = trace
        self._retry = RetryContext()

    @property
    def invocation_id(self) -> str:
        return self._id

    @property
    def thread_local_storage(self) -> Any:
        return self._local

    @property
    def function_name(self) -> str:
        return self._name

    @property
    def function_directory(self) -> str:
        return self._directory

    @property
    def trace_context(self) -> Any:
        return self._trace

    @property
    def retry_context(self) -> Any:
        return self._retry
