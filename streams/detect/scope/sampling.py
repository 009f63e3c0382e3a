"""What each evaluator said of a minute's sessions, and some that it passed: whoever looks at those learns what it overlooks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...records import Fact, Judged, drawn
from .bucketed import fits

EVALUATORS_MAX = 50
SAMPLE_MAX = 10  # of a minute: those whose hash is smallest, so that chance decides and a replay draws the same
SESSION_CHARS_MAX = 256

Judgings = dict[str, Judged]


def judged(known: Mapping[str, Judged], fact: Fact) -> Judgings:
    """With one more fact of kind judged."""
    name = fact.subject[3]
    found = dict(known)
    if name not in found and not (len(found) < EVALUATORS_MAX and fits(found, EVALUATORS_MAX)):
        return found
    sessions = (one for one in fact.marks if len(one) <= SESSION_CHARS_MAX)
    more = Judged(fact.sums.get("scored", 0), fact.sums.get("flagged", 0), tuple(sessions))
    found[name] = _sum(name, found.get(name, Judged(0, 0)), more)
    return found


def together(one: Mapping[str, Judged], other: Mapping[str, Judged]) -> Judgings:
    names = sorted({*one, *other})[:EVALUATORS_MAX]
    return {name: _sum(name, one.get(name, Judged(0, 0)), other.get(name, Judged(0, 0))) for name in names}


def _sum(name: str, one: Judged, other: Judged) -> Judged:
    return Judged(one.scored + other.scored, one.flagged + other.flagged, _drawn(name, (*one.sample, *other.sample)))


def _drawn(name: str, sessions: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(sessions), key=lambda one: (drawn(name, one), one))[:SAMPLE_MAX])
