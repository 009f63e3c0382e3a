"""Identity of a trouble, and the skeleton of an error message: what stays when ids, paths and values change."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b

VERSION = "v1"
TEXT_CHARS_MAX = 512
TOKENS_MAX = 20
CACHED_MAX = 4096  # skeletons of at most 512 characters from texts of as many: 18 MB at the very worst
WORDS_CACHED_MAX = 4096
_TAIL = 2048
_INDENT_MAX = 512
_STAR = "*"

_TRACEBACK = "Traceback (most recent call last):"
_QUOTED = r"\"[^\"]*\"|`[^`]*`|(?<!\w)'[^']*'(?!\w)"
_VARIABLE = re.compile(rf"https?://[^\s\"'`)\]}}>]+|{_QUOTED}")
_URL = re.compile(r"https?://[^\s\"'`)\]}>]+")
_DOCUMENT = re.compile(r"\{\s*[\"']")
_SPLIT = re.compile(r"[\s()\[\]{},;:|<>]+")
_QUOTES = str.maketrans("\"'`", "   ")
_KEEP_AFTER = frozenset(("status", "http", "code", "error", "errno", "exit", "sqlstate"))
_CODE = re.compile(r"-?\d{1,5}|[A-Z][A-Z0-9_]{2,}")
_CODE_FIRST = re.compile(r"[1-5]\d\d(?: |: ?)(?!m?s\b|sec|min|bytes|[kmg]b\b)[A-Za-z]", re.IGNORECASE)
_ID = re.compile(r"(?:req|call|run|toolu|msg|chatcmpl|sess|resp)[_-][^\W_]{3,}")
_EXCEPTION = re.compile(r"(?:[a-z_]\w*\.)+([A-Z]\w*)")
_UNITS = frozenset(
    ("ms", "s", "sec", "secs", "seconds", "second", "minutes", "minute", "min", "kb", "mb", "gb", "bytes", "b")
)
_VARIES = re.compile(r"[\d/\\@$]")


def fingerprint(detector: str, *subject: str) -> str:
    """`v1:<detector>:<hash of the subject>`. No time, session, release, setting or display name belongs in it."""
    digest = blake2b("\x1f".join(subject).encode(), digest_size=8).hexdigest()
    return f"{VERSION}:{detector}:{digest}"


def skeleton(message: str) -> str:
    """The words of an error message with everything variable as `*`; at most 20 words of 512 characters.

    It costs the same for a megabyte: everything beyond what is looked at is cut off first.
    """
    return _skeleton(_cut(message))


def error_id(tool: str, kind: str | None, words: str) -> str:
    """Which error of which tool this is; `words` are a skeleton, or what several have in common."""
    return blake2b("\x1f".join((VERSION, tool, kind or "", words)).encode(), digest_size=8).hexdigest()


def _cut(message: str) -> str:
    """Its beginning; of a Python traceback the last line."""
    head = message[: TEXT_CHARS_MAX + _INDENT_MAX].lstrip()[:TEXT_CHARS_MAX]
    if _TRACEBACK not in head:
        return head
    tail = message[-_TAIL:].rstrip()
    before, newline, line = tail.rpartition("\n")
    return line.strip()[:TEXT_CHARS_MAX] if newline and before else message[message.rfind("\n") + 1 :][:TEXT_CHARS_MAX]


@lru_cache(maxsize=CACHED_MAX)
def _skeleton(text: str) -> str:
    tokens: list[str] = []
    before = "status" if _CODE_FIRST.match(text) else ""
    for raw in _SPLIT.split(_plain(text)):
        token, word = _word(raw)
        if not token:
            continue
        if token == _STAR and before in _KEEP_AFTER and _CODE.fullmatch(word):
            token = word
        elif before in _KEEP_AFTER and word.isupper() and _CODE.fullmatch(word):
            token = word
        before = token
        if tokens and tokens[-1] == _STAR and (token == _STAR or token in _UNITS):
            continue
        tokens.append(token)
        if len(tokens) == TOKENS_MAX:
            break
    return " ".join(tokens)
