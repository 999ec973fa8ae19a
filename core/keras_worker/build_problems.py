"""Keras's errors in words for the person drawing: which layer, what it got from whom, what to change."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any


def explain(error: BaseException, title: str, sources: Sequence[tuple[str, Any]]) -> str:
    """One or two sentences: the layer, the shapes that reach it and from where, the reason, a hint."""
    if _ran_out_of_memory(error):
        return f"{title} is too large: building it needs too much memory. Make its shapes smaller."
    reason = _reason(str(error))
    hint = _hint(str(error), [shape for _, shape in sources])
    if not sources:
        return f"{title}: {reason}{hint}"
    got = ", ".join(f"{shape_text(shape)} from {source}" for source, shape in sources[:6])
    more = f" and {len(sources) - 6} more" if len(sources) > 6 else ""
    return f"{title} gets {got}{more}: {reason}{hint}"


def _ran_out_of_memory(error: BaseException | None) -> bool:
    """Keras wraps what goes wrong inside a layer, so the first error may be further back."""
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        error = error.__cause__ or error.__context__
    return False


def shape_text(shape: Any) -> str:
    """A shape as Python would print the tuple."""
    return str(tuple(shape)) if shape is not None else "nothing"


_EMPTY = re.compile(
    r"[Nn]egative dimension size|non-positive|must be (strictly )?positive"
    r"|output size would be negative|output would be empty"
)
_IN_WORDS = {
    "tuple index out of range": "one of its axes lies outside of that shape.",
    "list index out of range": "one of its axes lies outside of that shape.",
}


def _reason(text: str) -> str:
    """The first sentences of Keras's message, without object reprs, ids and the list of arguments."""
    text = text.split("\n\nArguments received by")[0].split("\n\nCall arguments received")[0]
    text = re.sub(r"<[\w.]+( [^<>]*)?>", "", text)
    text = re.sub(r"^Exception encountered when calling [^\n]*\n+", "", text.strip())
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    text = re.sub(r'^Input \d+ of layer "[^"]*" is incompatible with the layer: ', "", text)
    text = re.sub(r"(/[\w.\-]+){2,}", "…", text)
    sentence = _IN_WORDS.get(text.strip(), " ".join(text.split()))
    sentence = re.sub(r"\s*(Full shape received|Received|Inputs received):? .*$", "", sentence).strip()
    sentence = sentence[:300].rstrip(" :;,")
    if not sentence:
        return "Keras cannot build it with these parameters."
    return sentence if sentence.endswith((".", "!", "?")) else sentence + "."


def _hint(text: str, shapes: Sequence[Any]) -> str:
    """What usually helps with this kind of message."""
    rank = re.search(r"expected (min_|max_)?ndim=(\d+), found ndim=(\d+)", text)
    if rank:
        return _rank_hint(rank[1] or "", int(rank[2]), int(rank[3]))
    if _EMPTY.search(text):
        return " The window is larger than what is left of its input: use padding 'same' or a smaller window."
    if "must be called on a list" in text or "should be called on a list" in text:
        return " Connect at least two layers to it."
    if (
        re.search(r"list of .* inputs|expected \d+ input|expects \d+ input|only accepts|Expected a single tensor", text)
        and len(shapes) > 1
    ):
        return " It takes one input: merge them before it with Concatenate or Add."
    if "fully-defined" in text:
        return " Give every size of the Input's shape but the batch's, e.g. (10,) instead of (None,)."
    if "matching shapes" in text or "could not be broadcast" in text or "compatible shapes" in text:
        return " Make the shapes equal, e.g. with Dense or Reshape before the merge."
    return ""


def _rank_hint(bound: str, expected: int, found: int) -> str:
    if found > expected or bound == "max_":
        return " Did you forget Flatten or a pooling layer before it?"
    if expected == 3:
        return (
            " It works on sequences (steps, features): use Reshape before it,"
            " or return_sequences=True in a recurrent layer before it."
        )
    if expected == 4:
        return " It works on pictures (height, width, channels): use Reshape before it."
    return " Use Reshape before it."
