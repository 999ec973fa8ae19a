"""The page that shows the document: one file with style and script in it, which loads nothing but the document."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

from core.base.page import Page

_FOLDER = Path(__file__).parent


@cache
def html_page() -> Page:
    """The page, under a policy that lets exactly its own style and script act."""
    style, script = _text("page.css"), _text("page.js")
    html = _text("page.html").replace("/* style */", style).replace("/* script */", script)
    policy = {
        "default-src": "'none'",
        "style-src": _hash(style),
        "script-src": _hash(script),
        # The document, and the operations that a person tries.
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    headers = {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Referrer-Policy": "no-referrer",
    }
    return Page.of(html.encode(), "text/html", headers)


def _text(name: str) -> str:
    return (_FOLDER / name).read_text("utf-8")


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
