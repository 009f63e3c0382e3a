"""What people write under a ticket to say how it ended: `/outcome fixed in=2026.09.4`, `/fp why=…`, `/risk until=…`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from hashlib import blake2b
from typing import NamedTuple, get_args

from msgspec import Struct

from ...records import Cause, FalseWhy, OutcomeValue
from .ticket import Comment

OUTCOMES: tuple[OutcomeValue, ...] = get_args(OutcomeValue)
WORDS: dict[str, OutcomeValue] = {
    "fixed": "fixed",
    "fp": "false_positive",
    "falsepositive": "false_positive",
    "risk": "accepted_risk",
    "ar": "accepted_risk",
    "wontfix": "wont_fix",
    "external": "external_cause",
    "duplicate": "duplicate",
    "dup": "duplicate",
    "cannotreproduce": "cannot_reproduce",
    "unspecified": "unspecified",
}
KEYS: dict[OutcomeValue, tuple[str, ...]] = {
    "fixed": ("in", "cause"),
    "false_positive": ("why",),
    "accepted_risk": ("until",),
    "wont_fix": ("review",),
    "external_cause": ("provider", "in", "cause"),
    "duplicate": ("of",),
    "cannot_reproduce": (),
    "unspecified": (),
}
RIGHT: dict[OutcomeValue, str] = {
    "fixed": "/outcome fixed in=2026.09.4 cause=prompt",
    "false_positive": "/fp why=stale_reference",
    "accepted_risk": "/risk until=2026-10-31",
    "wont_fix": "/wontfix review=2026-12-31 the reason in words",
    "external_cause": "/external provider=openai",
    "duplicate": "/duplicate of=OPS-1",
    "cannot_reproduce": "/outcome cannot_reproduce",
    "unspecified": "/outcome unspecified",
}
TEXT_MAX = 4000
VALUE_MAX = 200
REASON_MAX = 2000
HEARD_MAX = 200  # comments of one ticket that are remembered
_TOKEN = re.compile(r'(?P<key>[A-Za-z_]{1,20})=(?:"(?P<quoted>[^"]{0,500})"|(?P<plain>\S{1,500}))|(?P<word>\S+)')
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}$")


class Said(Struct, frozen=True, omit_defaults=True):
    """An outcome with what came along, as it was written. `reopen`: the decision is taken back."""

    outcome: OutcomeValue
    reopen: bool = False
    fixed_in: str | None = None
    cause: Cause | None = None
    why: FalseWhy | None = None
    expires_at: datetime | None = None
    review_at: datetime | None = None
    provider: str | None = None
    duplicate_of: str | None = None
    reason: str | None = None


class Wrong(Struct, frozen=True):
    """It was meant as a command and cannot be one: `what` is wrong, `right` would be right."""

    what: str
    right: str


class News(NamedTuple):
    """Commands that nobody has acted on yet, the oldest first, and what was heard in which comment by now."""

    said: tuple[tuple[Comment, Said | Wrong], ...]
    heard: dict[str, str]


def news(comments: Sequence[Comment], before: Mapping[str, str]) -> News:
    """A comment that was edited counts again if its command is another one; what was deleted was said all the same."""
    found: list[tuple[Comment, Said | Wrong]] = []
    known = dict(before)
    for comment in sorted(comments, key=lambda one: one.at):
        command = None if comment.ours else heard(comment.text, comment.at)
        if command is None:
            continue
        mark = blake2b(repr(command).encode(), digest_size=8).hexdigest()
        if known.get(comment.id) != mark:
            found.append((comment, command))
            known = {**{name: one for name, one in known.items() if name != comment.id}, comment.id: mark}
    return News(tuple(found), dict(list(known.items())[-HEARD_MAX:]))


def heard(text: str, at: datetime) -> Said | Wrong | None:
    """The first command in a comment; None: nobody meant one. `at`: when it was written."""
    for line in text[:TEXT_MAX].splitlines():
        head, _, rest = line.strip().partition(" ")
        name = head[1:].lower().replace("_", "").replace("-", "").replace("'", "")
        if not head.startswith("/") or name not in (*WORDS, "outcome", "reopen"):
            continue
        if name == "reopen":
            return Said("unspecified", reopen=True, reason=rest.strip()[:REASON_MAX] or None)
        if name != "outcome":
            return _given(WORDS[name], rest, at)
        value, _, rest = rest.strip().partition(" ")
        outcome = valued(value)
        if outcome is None:
            values = ", ".join(OUTCOMES[:-1])
            return Wrong(f"“{value[:VALUE_MAX]}” is no outcome", f"one of {values}; for example {RIGHT['fixed']}")
        return _given(outcome, rest, at)
    return None


def valued(text: str | None) -> OutcomeValue | None:
    """An outcome as people write it: False positive, won't-fix, accepted_risk."""
    value = (text or "").strip().lower().replace(" ", "_").replace("-", "_").replace("'", "")
    return value if value in OUTCOMES else None


def _given(outcome: OutcomeValue, rest: str, at: datetime) -> Said | Wrong:
    given: dict[str, str] = {}
    words: list[str] = []
    for token in _TOKEN.finditer(rest):
        if token["key"] is None:
            words.append(token["word"])
            continue
        given[token["key"].lower()] = (token["quoted"] or token["plain"] or "").strip()[:VALUE_MAX]
    reason = " ".join([*([given.pop("reason")] if "reason" in given else []), *words])[:REASON_MAX] or None
    strange = sorted(set(given) - set(KEYS[outcome]))
    if strange:
        takes = ", ".join(f"{key}=" for key in KEYS[outcome]) or "nothing but a reason"
        return Wrong(f"{outcome} takes {takes}, not {strange[0]}=", RIGHT[outcome])
    if wrong := _wrong(given, at):
        return Wrong(wrong, RIGHT[outcome])
    return Said(
        outcome,
        fixed_in=given.get("in") or None,
        cause=given.get("cause") or None,  # type: ignore[arg-type]
        why=given.get("why") or None,  # type: ignore[arg-type]
        expires_at=dated(given.get("until")),
        review_at=dated(given.get("review")),
        provider=given.get("provider") or None,
        duplicate_of=given.get("of") or None,
        reason=reason,
    )


def _wrong(given: dict[str, str], at: datetime) -> str:
    if "cause" in given and given["cause"] not in get_args(Cause):
        return f"cause= is one of {', '.join(get_args(Cause))}"
    if "why" in given and given["why"] not in get_args(FalseWhy):
        return f"why= is one of {', '.join(get_args(FalseWhy))}"
    for key in ("until", "review"):
        if key not in given:
            continue
        day = dated(given[key])
        if day is None:
            return f"{key}= is a day like 2026-10-31"
        if day <= at:
            return f"{key}={given[key]} is over"
    return ""


def dated(text: str | None) -> datetime | None:
    """A day lasts until its end (UTC); a moment says its zone. None: it is neither."""
    try:
        if text and _DATE.match(text):
            return datetime.combine(datetime.fromisoformat(text), time(), UTC) + timedelta(days=1)
        found = datetime.fromisoformat(text) if text else None
    except (ValueError, OverflowError):
        return None
    return found if found and found.tzinfo else None
