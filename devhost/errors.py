"""What can go wrong with a host, said in one sentence each."""


class HostError(Exception):
    """The host cannot start or go on; the text says what to do."""


class WorkerGone(Exception):
    """The worker process ended while it had an invocation; the text is the platform's for that."""


class InvocationFailed(Exception):
    """User code raised; carries the exception's type and its traceback as text."""

    def __init__(self, kind: str, message: str, stack: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.stack = stack


class InvocationTimedOut(InvocationFailed):
    """The invocation ran longer than host.json's functionTimeout."""
