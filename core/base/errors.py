"""The error tree: everything a caller can be told, each with the HTTP status it becomes and a code of its own.

Handlers and stores raise these; `core.base.api` is the one place that turns them into responses. A code
is for programs: it stays as it is, whatever becomes of the sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class AppError(Exception):
    """An error with a sentence for the person who caused it or has to wait for it."""

    status = 500
    code = "internal"
    headers: Mapping[str, str] = {}

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    @property
    def body(self) -> dict[str, Any]:
        return {"detail": self.detail}


class BadRequest(AppError):
    """The input is wrong: a sentence, or a map from field or graph element to sentences.

    A map keeps the nesting it is given, e.g. `{"epochs": ["…"]}` or
    `{"nodes": {"dense-1": {"params": {"units": ["…"]}}}}`; the canvas marks what it names.
    """

    status = 400
    code = "bad_request"

    def __init__(self, problem: str | dict[str, Any]) -> None:
        super().__init__(problem if isinstance(problem, str) else "The input is not valid.")
        self.problem = problem

    @property
    def body(self) -> dict[str, Any]:
        return {"detail": self.problem} if isinstance(self.problem, str) else self.problem

    @property
    def sentence(self) -> str:
        """The problems as one line of text, for a job's `error`."""
        return self.problem if isinstance(self.problem, str) else "; ".join(_leaves(self.problem))


def _leaves(problem: Any, path: str = "") -> list[str]:
    if isinstance(problem, dict):
        return [text for key, value in problem.items() for text in _leaves(value, f"{path}{key}: ")]
    if isinstance(problem, list):
        return [text for value in problem for text in _leaves(value, path)]
    return [f"{path}{problem}"]


class MalformedBody(BadRequest):
    """The body cannot be read at all; what it asks for is not known."""

    code = "malformed_body"


class NothingUploaded(BadRequest):
    """The file that this is about has not arrived (yet)."""

    code = "nothing_uploaded"


class WrongState(BadRequest):
    """A job is in a state in which this cannot be done, such as a prediction of a training that has failed."""

    code = "wrong_state"


class Unauthorized(AppError):
    """No token, or one that is not accepted."""

    status = 401
    code = "unauthorized"
    headers: Mapping[str, str] = {"WWW-Authenticate": 'Bearer realm="api"'}


class Forbidden(AppError):
    """A known user without the right to do this."""

    status = 403
    code = "forbidden"


class NotFound(AppError):
    """Not there, or not the caller's: the two are never told apart."""

    status = 404
    code = "not_found"


class MethodNotAllowed(AppError):
    """The path exists, the method does not."""

    status = 405
    code = "method_not_allowed"

    def __init__(self, method: str, usual: list[str], allowed: str) -> None:
        """`usual` is what a person may use instead, `allowed` the whole of it for the `Allow` header."""
        super().__init__(f"{method[:20]} is not allowed here; use {' or '.join(usual)}.")
        self.headers = {"Allow": allowed}


class Conflict(AppError):
    """What is asked for cannot be done in the present state."""

    status = 409
    code = "conflict"


class PreconditionFailed(AppError):
    """Somebody else changed it since it was read."""

    status = 412
    code = "precondition_failed"


class TooLarge(AppError):
    """Larger than a limit allows; the sentence names the limit."""

    status = 413
    code = "too_large"


class UnsupportedMediaType(AppError):
    """The body is not of a type this path reads."""

    status = 415
    code = "unsupported_media_type"


class TooMany(AppError):
    """A quota is used up."""

    status = 429
    code = "too_many"
    headers: Mapping[str, str] = {"Retry-After": "30"}


class Unavailable(AppError):
    """Storage or a child process cannot be reached now; asking again later may help."""

    status = 503
    code = "unavailable"
    headers: Mapping[str, str] = {"Retry-After": "5"}


class NoRoom(Unavailable):
    """The temporary disk of this instance is too small for a file."""

    code = "no_room"
