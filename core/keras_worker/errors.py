"""What can go wrong with a call to a child process: the whole tree, used on both sides of the channel."""

from typing import Any

Problems = str | dict[str, Any]


class ChildError(Exception):
    """Any end of a call other than its result."""


class Refused(ChildError):
    """The user's input is wrong; the same call would be refused again, so it is never retried.

    `problems` is a sentence, or the contract's nested dict of fields or nodes whose leaves are lists of sentences.
    """

    def __init__(self, problems: Problems) -> None:
        super().__init__(problems if isinstance(problems, str) else "; ".join(sentences(problems)))
        self.problems = problems


class ChildFailed(ChildError):
    """Keras or our own code raised in the child. The message is short and for people; `detail` is for the log."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class ChildDied(ChildError):
    """The child went away in the middle of a call: killed or crashed. Safe to retry from the newest checkpoint."""


class ChildOutOfMemory(ChildDied):
    """The child passed its memory limit, or the system refused it memory."""


class ChildTimedOut(ChildError):
    """The call took longer than its limit, and the child was killed."""


def sentences(problems: Any) -> list[str]:
    """All leaves of a nested structure of problems, in order, each with the path that leads to it."""
    if isinstance(problems, dict):
        return [f"{key}: {text}" for key, value in problems.items() for text in sentences(value)]
    if isinstance(problems, list):
        return [text for value in problems for text in sentences(value)]
    return [str(problems)]
