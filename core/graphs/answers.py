"""The latest answers about compiled graphs, by what was asked, within a number and a size."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from core.base.errors import AppError
from core.base.settings import MIB

Answer = dict[str, Any]

_MOST_CHARACTERS = 32 * MIB


class Answers:
    """Answers and refusals by the content of a graph, and contents by the very bytes of a request."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._answers: OrderedDict[bytes, Answer | AppError] = OrderedDict()
        self._contents: OrderedDict[bytes, bytes] = OrderedDict()
        self._characters = 0

    def find(self, content: bytes) -> Answer | AppError | None:
        """The answer to that content, which thereby is the last to be forgotten."""
        if content in self._answers:
            self._answers.move_to_end(content)
        return self._answers.get(content)

    def keep(self, content: bytes, answer: Answer | AppError) -> None:
        self._forget(content)
        self._answers[content] = answer
        self._characters += _size(answer)
        while len(self._answers) > self._most or self._characters > _MOST_CHARACTERS:
            self._forget(next(iter(self._answers)))

    def content_of(self, request: bytes) -> bytes | None:
        """The content that a request of the same bytes had."""
        return self._contents.get(request)

    def keep_content(self, request: bytes, content: bytes) -> None:
        self._contents[request] = content
        while len(self._contents) > self._most:
            self._contents.popitem(last=False)

    def _forget(self, content: bytes) -> None:
        if content in self._answers:
            self._characters -= _size(self._answers.pop(content))


def _size(answer: Answer | AppError) -> int:
    return len(answer["summary"]) if isinstance(answer, dict) else 0
