"""Skeletons that differ in a word or two which no rule can tell from a name: the same trouble, or another one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

GIVEN_UP = "…"  # not `*`: a template that has given up its share of words gives up no more
SHARE = 5  # one word in five may be given up
ALIKE_MAX = 1024

_PARTS = re.compile(r"[_\-.]")
# Two messages that differ in one of these are two troubles: a name is none of them.
_WHAT_WENT_WRONG = """
not no never already too must cannot only without is are was found missing exist exists known unknown valid invalid
allowed forbidden authorized unauthorized denied granted refused rejected reset closed aborted broken lost expired
revoked exceeded reached limited throttled quota full empty timeout timed failed failure error success supported
unsupported available unavailable required unreachable unresolved resolved read readable write writable create created
delete deleted update open opened connect connection connected disconnected permission access authentication
authorization syntax conflict locked deadlock visible hidden detached attached enabled disabled duplicate malformed
unexpected busy down
"""
_DECISIVE = frozenset(_WHAT_WENT_WRONG.split())
_ENDINGS = ("error", "exception", "timeout", "violation", "failure", "denied", "exceeded")


def template(one: str, other: str) -> str | None:
    """What two skeletons or templates have in common, `…` where they differ, or None: two troubles. Symmetric.

    The same length and first word; at most a fifth of the words is given up, or one of fewer than ten; and none of
    those is a code, a `k=` or a word that says what went wrong.
    """
    if one == other:
        return one
    if one.count(" ") != other.count(" ") or one.partition(" ")[0] != other.partition(" ")[0]:
        return None
    words, others = one.split(" "), other.split(" ")
    most, given_up = max(1, len(words) // SHARE), 0
    for at, (word, another) in enumerate(zip(words, others, strict=True)):
        if word == another != GIVEN_UP:
            continue
        given_up += 1
        if given_up > most or _decides(word) or _decides(another):
            return None
        words[at] = GIVEN_UP
    return " ".join(words)


@lru_cache(maxsize=ALIKE_MAX)
def alike(one: str, other: str) -> bool:
    """Whether they are the same trouble."""
    return template(one, other) is not None


def merged(known: Iterable[str], skeleton: str) -> tuple[str, str | None]:
    """The template that `skeleton` belongs to, and the one of `known` whose place it takes, if it does.

    `known` are the templates of one tool and error class, in any order: one that gives nothing more up is preferred,
    then the one that gives up least.
    """
    head, spaces = skeleton.partition(" ")[0] + " ", skeleton.count(" ")
    best: tuple[bool, int, str, str] | None = None
    for one in known:
        if one == skeleton:
            return one, None
        found = template(one, skeleton) if one.count(" ") == spaces and one.startswith(head) else None
        if found is not None:
            rank = (found != one, found.count(GIVEN_UP), one, found)
            best = rank if best is None else min(best, rank)
    if best is None:
        return skeleton, None
    widened, _, one, found = best
    return found, one if widened else None


def templates(skeletons: Iterable[str]) -> dict[str, str]:
    """Each skeleton's template. A function of the set: neither order nor repetition matters."""
    became: dict[str, str] = {}
    known: set[str] = set()
    for one in sorted(set(skeletons)):
        found, before = merged(known, one)
        if before is not None:
            known.discard(before)
            became = {name: found if now == before else now for name, now in became.items()}
        known.add(found)
        became[one] = found
    return became


def _decides(word: str) -> bool:
    if word in ("*", GIVEN_UP):
        return False
    if "=" in word or word != word.lower() or any(map(str.isdigit, word)) or word.endswith(_ENDINGS):
        return True
    return word in _DECISIVE or not _DECISIVE.isdisjoint(_PARTS.split(word))
