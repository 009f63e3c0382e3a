"""Identity of a trouble, and the skeleton of an error message: what stays when ids, paths and values change."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b

VERSION = "v1"
TEXT_CHARS_MAX = 512
TOKENS_MAX = 20

_TRACEBACK = re.compile(r"^Traceback \(most recent call last\):")
_VARIABLE = re.compile(r"https?://\S+|\"[^\"]*\"|`[^`]*`|(?<!\w)'[^']*'(?!\w)")
_SPLIT = re.compile(r"[\s()\[\]{},;:|<>]+")
_KEEP_AFTER = frozenset(("status", "http", "code", "error", "errno", "exit"))
_CODE = re.compile(r"^-?\d{1,5}$|^[A-Z][A-Z0-9_]{2,}$")
_ID_PREFIX = re.compile(r"^(req|call|run|toolu|msg|chatcmpl|sess|id|user|ord|resp)_")
_STATUS_FIRST = re.compile(r"[1-5]\d\d [A-Za-z]")  # "503 Service Unavailable" and "404 Not Found" are different errors
_EXCEPTION = re.compile(r"^(?:[a-z_]\w*\.)+([A-Z]\w*)$")
_UNITS = frozenset(("ms", "s", "sec", "secs", "seconds", "second", "minutes", "min", "kb", "mb", "gb", "bytes", "b"))
_STAR = "*"


def fingerprint(detector: str, *subject: str) -> str:
    """`v1:<detector>:<hash of the subject>`. No time, session, release, setting or display name belongs in it."""
    digest = blake2b("\x1f".join(subject).encode(), digest_size=8).hexdigest()
    return f"{VERSION}:{detector}:{digest}"


@lru_cache(maxsize=8192)
def skeleton(message: str) -> str:
    """The words of an error message with everything variable as `*`; at most 20 tokens of 512 characters."""
    text = message.strip()
    if _TRACEBACK.match(text):
        text = text.splitlines()[-1]
    text = _VARIABLE.sub(f" {_STAR} ", text[:TEXT_CHARS_MAX])
    tokens: list[str] = []
    before = "status" if _STATUS_FIRST.match(text) else ""
    for raw in _SPLIT.split(text):
        token = _token(raw, before, tokens[-1] if tokens else "")
        before = raw.lower() if raw else before
        if token and not (token == _STAR and tokens and tokens[-1] == _STAR):
            tokens.append(token)
        if len(tokens) >= TOKENS_MAX:
            break
    return " ".join(tokens)


def _token(raw: str, before: str, last: str) -> str:
    word = raw.strip(".!?\"'`")
    if not word or (last == _STAR and word.lower() in _UNITS):
        return ""
    exception = _EXCEPTION.match(word)
    if exception:
        return exception.group(1).lower()
    if before in _KEEP_AFTER and _CODE.match(word):
        return word
    if "=" in word and not word.startswith("="):
        name, _, value = word.partition("=")
        kept = value if name.lower() in _KEEP_AFTER and _CODE.match(value) else ""
        return f"{name.lower()}={kept}"
    if word.isalpha():
        return word.lower()
    if any(c.isdigit() or c in "/\\@$" for c in word) or _ID_PREFIX.match(word):
        return _STAR
    return word.lower()


def error_id(tool: str, kind: str | None, message: str | None) -> str:
    """Which error of which tool this is, whatever its ids and values."""
    text = "\x1f".join((VERSION, tool, kind or "", skeleton(message or "")))
    return blake2b(text.encode(), digest_size=8).hexdigest()
