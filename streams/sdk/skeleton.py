"""What an exception says, without what may be somebody's: quoted text, numbers, ids, addresses and paths."""

from __future__ import annotations

import re
from typing import Literal

from ..records import Error

Telling = Literal["template", "type", "full"]
TEXT_MAX = 1000
TYPE_MAX = 200
_PARTS = (
    (re.compile(r"\"(?:[^\"\\]|\\.){0,4000}\"|'(?:[^'\\]|\\.){0,4000}'|`[^`]{0,4000}`"), "<text>"),
    (re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://\S+", re.IGNORECASE), "<address>"),
    (re.compile(r"\S+@\S+\.\S+"), "<mail>"),
    (re.compile(r"(?<![\w<])(?:[A-Za-z]:)?[\\/][^\s:,;)\]]+"), "<path>"),
    (re.compile(r"\b[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\b(?=\w*\d)(?=\w*[a-z])\w{8,}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\d+(?:[.,]\d+)*"), "<n>"),
)


def error(raised: BaseException, telling: Telling = "template") -> Error:
    """`template`: with values removed. What stands in no quotes may remain: `type` says nothing but the class."""
    kind = type(raised).__name__[:TYPE_MAX]
    if telling == "type":
        return Error(kind)
    try:
        text = str(raised)[: 4 * TEXT_MAX]
    except Exception:  # an exception of the agent's whose __str__ raises
        return Error(kind)
    if telling == "template":
        for pattern, instead in _PARTS:
            text = pattern.sub(instead, text)
    return Error(kind, text[:TEXT_MAX] or None)
