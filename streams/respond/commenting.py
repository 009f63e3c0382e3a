"""How often a ticket is spoken to: what is left out is counted, and told in the next comment."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from .messages import CommentDoc

APART = timedelta(minutes=10)
TICKETS_MAX = 200
ALL_MAX = 50
AT_ONCE = ("raised", "worse", "recovered", "back", "split", "remark")


class Commented(Struct, frozen=True, array_like=True):
    """One incident's ticket, as long as something of it has to be remembered."""

    at: dict[str, datetime] = {}  # by what it was about
    left: int = 0  # updates that were left out since the last comment


def paced(
    known: Commented, docs: Iterable[tuple[str, CommentDoc]], at: datetime, said: int
) -> tuple[Commented, tuple[CommentDoc, ...]]:
    """Those that are said now, of an incident that had `said` comments before."""
    kept: list[CommentDoc] = []
    for about, doc in docs:
        last = known.at.get(about)
        soon = about not in AT_ONCE and last is not None and at - last < APART
        if soon or said + len(kept) >= ALL_MAX:
            known = replace(known, left=known.left + 1)
            continue
        kept.append(replace(doc, lines=(*doc.lines, *_left(known.left), *_last(said + len(kept) + 1))))
        known = Commented({**known.at, about: at}, 0)
    return known, tuple(kept)


def bounded(all_: dict[str, Commented], at: datetime) -> dict[str, Commented]:
    """Without those that no longer matter: nothing was left out, and the last comment is long ago."""
    fresh = {name: one for name, one in all_.items() if one.left or any(at - then < APART for then in one.at.values())}
    if len(fresh) <= TICKETS_MAX:
        return all_ if len(fresh) == len(all_) else fresh
    return dict(list(fresh.items())[-TICKETS_MAX:])


def _left(count: int) -> tuple[str, ...]:
    if not count:
        return ()
    return (f"{count} update{'s' * (count != 1)} before this one {'were' if count != 1 else 'was'} not written here.",)


def _last(number: int) -> tuple[str, ...]:
    return ("Nothing more is written here by itself: go to the incident's page.",) if number == ALL_MAX else ()
