"""The facts of one timeline message: summed per subject and bucket, so that order and grouping do not matter."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from ..records import ClockForwarded, Excerpt, Fact, Facts

BUCKET_S = 10
SAMPLES_MAX = 5

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Facts | ClockForwarded)


def bucket_of(at: datetime, bucket_s: int = BUCKET_S) -> datetime:
    """The start of the event-time bucket."""
    seconds = int(at.timestamp())
    return datetime.fromtimestamp(seconds - seconds % bucket_s, UTC)


def aggregate(facts: Iterable[Fact]) -> tuple[Fact, ...]:
    """One fact per kind, subject and bucket."""
    found: dict[tuple[object, ...], Fact] = {}
    for fact in facts:
        address = (fact.kind, fact.subject, fact.bucket)
        known = found.get(address)
        found[address] = fact if known is None else _added(known, fact)
    return tuple(found.values())


def latest(samples: Iterable[Excerpt]) -> tuple[Excerpt, ...]:
    """The newest few, each once: the newest of all are among the newest of every part, however they were grouped."""
    return tuple(sorted(set(samples), key=lambda sample: (sample.at, sample.position))[-SAMPLES_MAX:])


def _added(one: Fact, other: Fact) -> Fact:
    sums = dict(one.sums)
    for name, value in other.sums.items():
        sums[name] = sums.get(name, 0) + value
    return Fact(
        kind=one.kind,
        subject=one.subject,
        bucket=one.bucket,
        sums=sums,
        about=other.about,
        marks=tuple(dict.fromkeys(one.marks + other.marks)),
        samples=latest(one.samples + other.samples),
    )


def pack(record: Facts | ClockForwarded) -> bytes:
    """One line of a record of tocsin.facts: several of several timeline messages share one, in order."""
    return _encoder.encode(record)


def unpack(value: bytes) -> list[Facts | ClockForwarded]:
    """Raises msgspec errors."""
    return _decoder.decode_lines(value)
