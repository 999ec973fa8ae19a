"""What can go wrong with a host, said in one sentence each."""


class HostError(Exception):
    """The host cannot start or go on; the text says what to do."""


class InvocationFailed(Exception):
    """User code raised or ran for too long; `stack` is its traceback as text, `summary` begins
    with its type."""

    def __init__(self, message: str, kind: str = "", stack: str = "") -> None:
        super().__init__(message)
        self.stack = stack
        self.summary = f"{kind}: {message}" if kind else message


class WorkerGone(InvocationFailed):
    """The worker process ended while it had the invocation; the text is the platform's for that."""
