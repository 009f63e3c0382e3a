"""The facts of one timeline message: summed per subject and bucket, so that order and grouping do not matter.

| kind | subject | sums | marks | said by |
| --- | --- | --- | --- | --- |
| session | agent, release, environment, task kind | started, ended, each status, ms, steps, tokens, nano, … and `cost#`, `ms#`, `steps#`, `tokens#` | | session/totals.py |
| spent | agent, environment, task kind | none (the sample's value: a session's cost so far) | nano, session, task kind | session/totals.py |
| alive | `fleet`, environment | events | agent | session/totals.py |
| config | agent, release, environment | | what:hash | session/totals.py |
| crash | agent, environment | restarts, vanished | node | session/totals.py |
| model | agent, release, environment, provider, model | calls, errors, input, output, nano, priced, unpriced, bare (a cost without tokens), `ms#`, … | | session/calls.py |
| provider | provider, model | calls, errors | agent (of errors) | session/calls.py |
| tool | agent, release, environment, tool, server | calls, errors, denied, nano, `ms#`, … | | session/calls.py |
| tool_error | server or tool | each tool, kind and skeleton | error, agent, root session | session/calls.py |
| write | resource, environment | writes | agent, session | session/calls.py |
| retrieval | agent, release, environment, tool | calls, empty, scored, score | | session/calls.py |
| late | agent, environment | late, ahead | | session/calls.py |
| evaluation | agent, evaluator, release, environment | passed, failed, broken, unscored, scored, score, square, `size#`, lower, human | evaluator, by id | session/evaluations.py |
| evaluator | evaluator | scored, broken | agent (of broken) | session/evaluations.py |
| feedback | agent, release, environment | positive, negative | | session/evaluations.py |
| judged | agent, release, environment, evaluator by id | scored, flagged | session (of passed) | session/evaluations.py |
| case | agent, evaluator, release, environment | `+case`, `-case` | evaluator, by id | session/evaluations.py |
| permission | agent, environment, action | allowed, denied, … | session (of denied) | session/reports.py |
| number | agent, environment, name | n, micro | | session/reports.py |
| owner | agent, environment | sessions (whose attribution names no team) | | session/owners.py |
| exposure | agent, release, environment | sessions, evaluated; ended, `cost#`, `ms#`, `steps#` | failures | session/exposure.py, session/totals.py |

A name ending in `#` is a family: `ms#12` counts values whose logarithmic index (methods/sketch.py) is 12; `size#3`
scores whose absolute value is below 2³ and not below 2².
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from ..records import ClockForwarded, Excerpt, Fact, Facts

BUCKET_S = 10
SAMPLES_MAX = 5
MARKS_MAX = 500  # of one fact
SUM_MAX = 2**62  # whatever is claimed, a sum can be stored
NAMES_MAX = 2000  # different names of sums in one bucket; the rest is `other`
FEW = 100  # names and marks that are remembered however long they are
CHARS_MAX = 32 * 1024  # of more than those
OTHER = "other"

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Facts | ClockForwarded)


def bucket_of(at: datetime, bucket_s: int = BUCKET_S) -> datetime:
    """The start of the event-time bucket."""
    seconds = int(at.timestamp())
    return _moment(seconds - seconds % bucket_s)


@lru_cache(maxsize=4096)  # the same object again: its hash and its text are made once
def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def shelf_of(words: tuple[str, ...]) -> str:
    """The name of a shelf. Names from outside may hold a separator: two of them must not meet on one shelf."""
    key = "\x1f".join(words)
    if key.count("\x1f") < len(words):
        return key
    return "\x1f".join((key, ".".join(str(len(word)) for word in words)))


class _Sum:
    """Facts of one address, while they are added up."""

    __slots__ = ("first", "last", "marks", "samples", "sums")

    def __init__(self, first: Fact) -> None:
        self.first, self.last = first, first
        self.sums: dict[str, int] | None = None  # none: there is only the first
        self.marks: dict[str, None] = {}
        self.samples: tuple[Excerpt, ...] = ()

    def add(self, fact: Fact) -> None:
        if self.sums is None:
            self.sums, self.samples = dict(self.first.sums), self.first.samples
            self.marks = dict.fromkeys(self.first.marks)
        for name, value in fact.sums.items():
            self.sums[name] = bounded(self.sums.get(name, 0) + value)
        if fact.marks and len(self.marks) < MARKS_MAX:
            self.marks.update(dict.fromkeys(fact.marks))
        if fact.samples:
            self.samples = latest(self.samples + fact.samples)
        self.last = fact

    def fact(self) -> Fact:
        if self.sums is None:
            return self.first
        kind, subject, bucket = self.first.kind, self.first.subject, self.first.bucket
        return Fact(kind, subject, bucket, self.sums, self.last.about, tuple(self.marks), self.samples)


def aggregate(facts: Iterable[Fact]) -> tuple[Fact, ...]:
    """One fact per kind, subject and bucket."""
    found: dict[tuple[object, ...], _Sum] = {}
    for fact in facts:
        address = (fact.kind, fact.subject, fact.bucket)
        known = found.get(address)
        if known is None:
            found[address] = _Sum(fact)
        else:
            known.add(fact)
    return tuple(one.fact() for one in found.values())


def bounded(total: int) -> int:
    """Never more than can be stored, whatever was claimed."""
    return total if -SUM_MAX <= total <= SUM_MAX else max(-SUM_MAX, min(total, SUM_MAX))


def latest(samples: Iterable[Excerpt]) -> tuple[Excerpt, ...]:
    """The newest few, each once: the newest of all are among the newest of every part, however they were grouped."""
    return tuple(sorted(set(samples), key=lambda sample: (sample.at, sample.position))[-SAMPLES_MAX:])


def pack(record: Facts | ClockForwarded) -> bytes:
    """One line of a record of tocsin.facts: several of several timeline messages share one, in order."""
    return _encoder.encode(record)


def unpack(value: bytes) -> list[Facts | ClockForwarded]:
    """Raises msgspec errors."""
    return _decoder.decode_lines(value)


# Where kinds about an agent say their environment.
_ENVIRONMENT = {
    "spent": 1,
    "crash": 1,
    "late": 1,
    "permission": 1,
    "owner": 1,
    "number": 1,
    "evaluation": 3,
    "case": 3,
}


def environment_of(fact: Fact) -> str:
    """Of a fact about an agent."""
    return fact.subject[_ENVIRONMENT.get(fact.kind, 2)]
