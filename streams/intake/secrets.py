"""What secrets look like, and what stands in their place: `<secret:kind:hash8>`. Linear in the text's length."""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple


class Kind(NamedTuple):
    """One format. A text without any of `hints` cannot hold it; `folded` hints are looked for in lower case."""

    name: str
    hints: tuple[str, ...]
    pattern: str
    folded: bool = False


# Every repetition is bounded or possessive, and no two neighbours can match the same text: nothing backtracks far.
_WORD = r"(?<![A-Za-z0-9])"
_ASSIGNED = (
    r"(?<!<)(?i:pass(?:word|wd|phrase)|pwd|secret|(?:api|access|secret|private|account|signing|encryption)[_-]?key"
    r"|(?:access|auth|refresh|id|session|bearer|api|bot|app)[_-]?token|credentials?)"
)
_PARAMETERS = r"(?i:token|sig|signature|key|code|x-amz-signature|x-amz-security-token|x-goog-signature)"
_QUOTES = r"""["'\\]{0,4}+"""
_READABLE = r"(?!<|\*\*|\[?(?i:redacted|removed|hidden|null|none|true|false|undefined)\b)"  # nothing to hide here
KINDS = (
    Kind(
        "pem",
        ("-----BEGIN",),
        r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----"
        r"(?:[^-]|-(?!----)){0,8192}+(?:-----END [A-Z ]{0,60}-----)?",
    ),
    Kind("aws", ("AKIA", "ASIA", "ABIA", "ACCA"), _WORD + r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    Kind(
        "github",
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        _WORD + r"(?:gh[pousr]_[A-Za-z0-9]{30,255}+|github_pat_[A-Za-z0-9_]{22,255}+)",
    ),
    Kind("gitlab", ("glpat-",), _WORD + r"glpat-[A-Za-z0-9_-]{20,255}+"),
    Kind("slack", ("xox", "xapp-"), _WORD + r"(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{10,255}+"),
    Kind("slack_hook", ("hooks.slack.com",), r"hooks\.slack\.com\\?/services\\?/T[A-Za-z0-9\\/]{19,100}+"),
    Kind("stripe", ("k_live_", "k_test_", "whsec_"), _WORD + r"(?:[sr]k_(?:live|test)_|whsec_)[A-Za-z0-9]{16,255}+"),
    Kind("llm", ("sk-",), _WORD + r"sk-[A-Za-z0-9_-]{20,255}+"),
    Kind("google", ("AIza",), _WORD + r"AIza[A-Za-z0-9_-]{35}"),
    Kind("atlassian", ("ATATT", "ATCTT"), _WORD + r"AT(?:ATT|CTT)[A-Za-z0-9_=-]{20,1024}+"),
    Kind("npm", ("npm_",), _WORD + r"npm_[A-Za-z0-9]{36}"),
    Kind("pypi", ("pypi-",), _WORD + r"pypi-[A-Za-z0-9_-]{50,1024}+"),
    Kind("huggingface", ("hf_",), _WORD + r"hf_[A-Za-z0-9]{30,64}+"),
    Kind(
        "jwt",
        ("eyJ",),
        _WORD + r"eyJ[A-Za-z0-9_-]{8,4096}+\.eyJ[A-Za-z0-9_-]{8,8192}+\.?[A-Za-z0-9_-]{0,2048}+",
    ),
    Kind(
        "bearer",
        ("bearer",),
        r"(?i:bearer)\s{1,4}+" + _READABLE + r"(?P<value>[A-Za-z0-9._~+/-]{12,4096}+=*+)",
        folded=True,
    ),
    Kind(
        "basic",
        ("basic",),
        r"(?i:basic)\s{1,4}+(?P<value>(?=[A-Za-z0-9+/]{0,400}?(?:[0-9=+/]|[a-z][A-Z]))[A-Za-z0-9+/]{8,1024}+={0,2}+)",
        folded=True,
    ),
    Kind("url", ("@",), r":\\?/\\?/[^\s/:@\"'<>\\]{0,256}+:" + _READABLE + r"(?P<value>[^\s/@\"'<>\\]{1,256}+)(?=@)"),
    Kind(
        "assigned",
        ("passw", "passphrase", "pwd", "secret", "key", "token", "credential"),
        _ASSIGNED
        + _QUOTES
        + r"\s{0,4}+[:=]{1,2}+>?\s{0,4}+"
        + _QUOTES
        + _READABLE
        + r"(?P<value>[^\s\"'\\,;&<>(){}\[\]]{4,4096}+)",
        folded=True,
    ),
    Kind("parameter", ("?", "&"), r"[?&]" + _PARAMETERS + r"=" + _READABLE + r"(?P<value>[^\s\"'\\,;&#<>]{8,4096}+)"),
)

_TEXT = [(kind, re.compile(kind.pattern, re.ASCII)) for kind in KINDS]
_BYTES = [(kind, tuple(hint.encode() for hint in kind.hints), re.compile(kind.pattern.encode())) for kind in KINDS]
# One cheap look decides for ordinary text: it starts with a plain set of characters, which the engine skips to.
# Whatever the patterns find holds one of these; a property test says so.
_maybe = re.compile(
    r"[@?&TJABb_:=-](?:"
    r"(?<=[:=])(?:(?<=[dsetylDSETYLnN][:=])(?<=(?i:rd|wd|se|ss|et|ey|en|al|ls)[:=])|(?<=[\"'\\\s][:=]))"
    r"|(?<=[Bb])(?i:ea|as|EGIN)"
    r"|(?<=_)(?:(?<=gh[pousr]_)|(?<=at_|hf_|ec_|pm_)|(?<=ive_|est_))"
    r"|(?<=-)(?:(?<=--)|(?<=sk-|at-|pi-|pp-)|(?<=ox[abeoprs]-))"
    r"|(?<=A)[KSBCIT]|(?<=/T)|(?<=eyJ)|(?<=[@?&]))",
    re.ASCII,
).search


def maybe(text: str) -> bool:
    """False: there is certainly no secret in it."""
    return _maybe(text) is not None


def stand_in(kind: str, secret: bytes, key: bytes = b"") -> str:
    """The same secret always reads the same, so that people can tell one from another. Eight digits reveal nothing."""
    return f"<secret:{kind}:{blake2b(secret, digest_size=4, key=key).hexdigest()}>"


def without_secrets(text: str, found: list[str], key: bytes = b"") -> str:
    """The text with stand-ins; the kinds that were found are appended to `found`."""
    lowered = text.lower()
    for kind, pattern in _TEXT:
        where = lowered if kind.folded else text
        if any(hint in where for hint in kind.hints):
            text = pattern.sub(_replacing(kind.name, found, key), text)
    return text


def bytes_without_secrets(value: bytes, found: list[str], key: bytes = b"") -> bytes:
    """The same for a raw value that nobody could decode."""
    lowered = value.lower()
    for kind, hints, pattern in _BYTES:
        where = lowered if kind.folded else value
        if any(hint in where for hint in hints):
            replace = _replacing(kind.name, found, key)
            value = pattern.sub(lambda match, replace=replace: replace(match).encode(), value)  # type: ignore[misc]
    return value


def _replacing(kind: str, found: list[str], key: bytes) -> Callable[[re.Match[str] | re.Match[bytes]], str]:
    def replace(match: re.Match[str] | re.Match[bytes]) -> str:
        found.append(kind)
        whole = match.group()
        secret = match.group("value") if "value" in match.re.groupindex else whole
        before = whole[: len(whole) - len(secret)]
        return _text(before) + stand_in(kind, _text(secret).encode(errors="surrogateescape"), key)

    return replace


def _text(part: str | bytes) -> str:
    return part if isinstance(part, str) else part.decode(errors="surrogateescape")
