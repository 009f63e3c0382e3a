"""Identity of a trouble, and the skeleton of an error message: what stays when ids, paths and values change."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b

VERSION = "v1"
TEXT_CHARS_MAX = 512
TOKENS_MAX = 20
SKELETONS_MAX = 1024  # remembered; texts of at most 512 characters, so 5 MB at the very worst
WORDS_MAX = 2048
WORD_CHARS_MAX = 64
_INDENT_MAX = 512
_TAIL = 2048
STAR = "*"

_TRACEBACK = "Traceback (most recent call last):"
_URL = re.compile(r"https?://[^\s\"'`)\]}>]+")
_VARIABLE = re.compile(rf"{_URL.pattern}|\"[^\"]*\"|`[^`]*`|(?<!\w)'[^']*'(?!\w)")
_SAYS = re.compile(r"[\"'](?:errors?|message|detail|code|reason|msg)[\"']\s*:")
_QUOTES = str.maketrans("\"'`", "   ")
_APART = bytes.maketrans(b"()[]{},;:|<>", b" " * 12)  # of UTF-8: four times as fast as a regular expression
_SURROGATES = "surrogatepass"
_VARIES = re.compile(r"[\d/\\@$]")
_CODE = re.compile(r"-?\d{1,5}|[A-Z]{1,5}-?\d{1,5}|[A-Z][A-Z_]{2,}|\d\d[A-Z]\d\d")
_CODE_FIRST = re.compile(r"[1-5]\d\d(?: |: ?)(?!m?s\b|sec|min|bytes|[kmg]b\b)[A-Za-z]", re.IGNORECASE)
_ID = re.compile(r"(?:req|call|run|toolu|msg|chatcmpl|sess|resp)[_-][^\W_]{3,}")
_HASH = re.compile(r"[a-f]{7,}")  # one that happens to have no digit
_EXCEPTION = re.compile(r"(?:[a-z_]\w*\.)+([A-Z]\w*)")
_KEEP_AFTER = frozenset(
    ("status", "http", "code", "error", "errno", "exit", "sqlstate", "statuscode", "errorcode", "exitcode")
)
_UNITS = frozenset(
    ("ms", "s", "sec", "secs", "seconds", "second", "minutes", "minute", "min", "kb", "mb", "gb", "bytes", "b")
)


def fingerprint(detector: str, *subject: str) -> str:
    """`v1:<detector>:<hash of the subject>`. No time, session, release, setting or display name belongs in it."""
    digest = blake2b("\x1f".join(subject).encode(), digest_size=8).hexdigest()
    return f"{VERSION}:{detector}:{digest}"


def error_id(tool: str, kind: str | None, words: str) -> str:
    """Which error of which tool this is; `words` are a skeleton, or what several skeletons have in common."""
    return blake2b("\x1f".join((VERSION, tool, kind or "", words)).encode(), digest_size=8).hexdigest()


def skeleton(message: str) -> str:
    """The words of an error message with everything variable as `*`; at most 20 words of 512 characters.

    A text of a megabyte costs no more than a short one: what is not looked at is cut off first.
    """
    return _skeleton(message if len(message) <= TEXT_CHARS_MAX else _cut(message))


def _cut(message: str) -> str:
    """The beginning; of a Python traceback the last line."""
    head = message[: TEXT_CHARS_MAX + _INDENT_MAX].strip()[:TEXT_CHARS_MAX]
    if _TRACEBACK not in head:
        return head
    return message[-_TAIL:].strip().rpartition("\n")[2].strip()[:TEXT_CHARS_MAX]


@lru_cache(maxsize=SKELETONS_MAX)
def _skeleton(text: str) -> str:
    tokens: list[str] = []
    text = _cut(text)
    before, last = "status" if _CODE_FIRST.match(text) else "", ""
    words = _unquoted(text).encode(errors=_SURROGATES).translate(_APART).decode(errors=_SURROGATES)
    for raw in words.split():
        token, code = _word(raw[:WORD_CHARS_MAX])
        if not token:
            continue
        if code and _names_a_code(before):
            token = code
        before = token
        if last == STAR and (token == STAR or token in _UNITS):
            continue
        last = token
        tokens.append(token)
        if len(tokens) == TOKENS_MAX:
            break
    return " ".join(tokens)


def _unquoted(text: str) -> str:
    """URLs and what stands in quotes vary, except in a document that says what went wrong: its words are in quotes."""
    if "'" not in text and '"' not in text and "`" not in text and "://" not in text:
        return text
    at = text.find("{")
    if at < 0 or not _SAYS.search(text, at):
        return _VARIABLE.sub(" * ", text)
    return _VARIABLE.sub(" * ", text[:at]) + _URL.sub(" * ", text[at:].translate(_QUOTES))


@lru_cache(maxsize=WORDS_MAX)
def _word(raw: str) -> tuple[str, str]:
    """The token, empty for mere punctuation, and what to keep of it after a word that announces a code."""
    word = raw.strip(".!?\"'`")
    if word.isalpha():
        return STAR if _HASH.fullmatch(word) else word.lower(), word if _CODE.fullmatch(word) else ""
    exception = _EXCEPTION.fullmatch(word) if "." in word else None
    if exception:
        return exception.group(1).lower(), ""
    name, equals, value = word.partition("=")
    if name and equals and not _VARIES.search(name):
        name = name.lower()
        return f"{name}={value if _names_a_code(name) and _CODE.fullmatch(value) else ''}", ""
    if word[:5] in ("HTTP/", "http/"):
        return "http", ""
    if _VARIES.search(word) or _ID.match(word):
        return STAR, word if _CODE.fullmatch(word) else ""
    said = any(map(str.isalnum, word)) or word == STAR
    return word.lower() if said else "", word if _CODE.fullmatch(word) else ""


def _names_a_code(word: str) -> bool:
    return word in _KEEP_AFTER or word.rpartition("_")[2] in _KEEP_AFTER
