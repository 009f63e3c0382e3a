"""The real sessions through real Kafka, with roles that are killed, come to what `replay` says without any server."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import builders as b
import msgspec
import pytest
from aiokafka.partitioner import DefaultPartitioner
from msgspec.structs import replace
from real.feeding import Role, canonical, exposures, findings, minutes, places, places_in, until
from real.feeding import read as read_whole

from streams import policy, topics
from streams.database import connect
from streams.importing.merge import read
from streams.importing.send import keyed_line, send
from streams.records import Event, Exposure, Finding, Incident
from streams.records.timeline import encode
from streams.replay import run
from streams.sandbox.kafka import EmbeddedKafka

DISORDER_S, TWICE = 20.0, 0.05
PARTS = 6  # the file is sent in so many pieces, with a kill after each


@pytest.fixture
def own_kafka(broker: EmbeddedKafka, tmp_path: Path) -> Iterator[str]:
    """A broker of this test's own: events of today on the shared one would make last year's late."""
    with EmbeddedKafka(tmp_path / "own") as kafka:
        yield kafka.address


@pytest.fixture(scope="module")
def events(tocsin_data: Path) -> list[Event]:
    return list(read(sorted((tocsin_data / "data" / "tau2").glob("*.json.gz")))[0])


@pytest.fixture(scope="module")
def lines(events: list[Event]) -> list[bytes]:
    """As agents send: out of order within the lateness, now and then twice. At last every clock passes everything."""
    chance = random.Random(7)
    moved = sorted(events, key=lambda event: event.time + timedelta(seconds=chance.uniform(0, DISORDER_S)))
    return [*(encode(event) for event in moved for _ in range(1 + (chance.random() < TWICE))), *beats(events[-1].time)]


def beats(last: datetime) -> list[bytes]:
    """One event for each partition, an hour later."""
    names: dict[int, str] = {}
    spread, everywhere = DefaultPartitioner(), list(range(topics.EVENTS.partitions))
    for n in range(1000):
        names.setdefault(spread(f"clock{n}".encode(), everywhere, everywhere), f"clock{n}")
    found = [b.heartbeat(last + timedelta(hours=1), agent="clock", session=name, id=name) for name in names.values()]
    for beat in found:
        beat.position = None
    return [encode(beat) for beat in found]


@pytest.fixture(scope="module")
def said(lines: list[bytes]) -> list[Any]:
    return list(run(lines, policy.load()))


def test_releases_count_the_same_in_whatever_order_events_come_within_the_lateness(
    events: list[Event], said: list[Any]
) -> None:
    in_order = list(run([*(encode(event) for event in events), *beats(events[-1].time)], policy.load()))
    assert counted(in_order) == counted(said)
    assert said[-1].echoes > 100
    assert in_order[-1].echoes == 0


def counted(records: list[Any]) -> Counter[tuple[str, ...]]:
    """Sessions and bad ones by release: in which minute a session is seen first may differ."""
    sums: Counter[tuple[str, ...]] = Counter()
    for one in of(records, Exposure):
        sums[one.agent, one.release, "sessions"] += one.sessions
        sums[one.agent, one.release, "bad"] += one.bad
    return sums


def of(records: list[Any], kind: type) -> list[Any]:
    return [record for record in records if isinstance(record, kind)]


@pytest.mark.slow
async def test_kafka_with_kills_comes_to_what_replay_says(
    own_kafka: str, database: str, lines: list[bytes], said: list[Any], tmp_path: Path
) -> None:
    await topics.ensure(own_kafka)
    addresses = {"kafka": own_kafka, "database": database}
    with ExitStack() as running:
        roles = [running.enter_context(Role(name, tmp_path, **addresses)) for name in ("intake", "detect", "respond")]
        await fed(own_kafka, lines[: -topics.EVENTS.partitions], roles)
        await sent(own_kafka, lines[-topics.EVENTS.partitions :])
        await settled(own_kafka, database, said, roles)
        assert [role.kills for role in roles] == [PARTS // 3] * 3
    there, here = await places_in(own_kafka), places(lines)
    assert await exposures(own_kafka, topics.EXPOSURE) == minutes(of(said, Exposure))
    expected = by_id(of(said, Finding), here)
    assert differing(by_id(await findings(own_kafka, topics.FINDINGS), there), expected) == []
    booked = by_id([timeless(one) for one in await incidents(database)], there)
    assert differing(booked, by_id([timeless(one) for one in of(said, Incident)], here)) == []


def by_id(records: list[Any], at: dict[str, str]) -> dict[str, Any]:
    found = [msgspec.json.decode(canonical(one, at)) for one in records]
    return {one["id"]: one for one in found}


def differing(one: dict[str, Any], other: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Which field of which record differs, and how."""
    fields = [(name, key) for name in one | other for key in one.get(name, {}) | other.get(name, {})]
    each = [(*where, *(side.get(where[0], {}).get(where[1]) for side in (one, other))) for where in fields]
    return [found for found in each if found[2] != found[3]]


def timeless(incident: Incident) -> Incident:
    """Without what depends on when and in which order the book heard of it: whom it told, held back and merged, what
    it took for quiet, and which changes it knew of by then."""
    known = replace(
        incident, opened_at=incident.first_seen, told={}, held=(), held_policy="", stage="open", parent=None
    )
    known = replace(known, quiet_since=None, mitigated_at=None, changed=(), level=0, expired=0)
    return replace(known, outcome=None, resolved_at=None, resolved_by=None)


async def fed(kafka: str, lines: list[bytes], roles: Sequence[Role]) -> None:
    """Sends piece after piece; in the middle of each one of the roles is killed."""
    size = len(lines) // PARTS + 1
    for part in range(PARTS):
        piece = lines[part * size : (part + 1) * size]
        await sent(kafka, piece[: size // 2])
        before = len(await read_whole(kafka, topics.TIMELINE))
        await sent(kafka, piece[size // 2 :])

        async def moving(before: int = before) -> bool:
            return len(await read_whole(kafka, topics.TIMELINE)) > before

        await until(moving, roles[0].words)
        roles[part % len(roles)].again()


async def sent(kafka: str, lines: list[bytes]) -> None:
    """Keyed by root session, as an agent does it, and everything confirmed."""
    told: list[int] = []
    assert await send(kafka, (keyed_line(line) for line in lines), told.append) == len(lines)
    assert told[-1] == len(lines)
    assert told == sorted(told)


async def settled(kafka: str, database: str, said: list[Any], roles: Sequence[Role]) -> None:
    """Until every minute is closed and every finding is in the book. Anything beyond that is looked for afterwards."""
    closed, found = minutes(of(said, Exposure)), len(of(said, Finding))

    async def complete() -> bool:
        booked = sum(one.findings for one in await incidents(database))
        return booked >= found and await exposures(kafka, topics.EXPOSURE) >= closed

    await until(complete, lambda: "\n".join(role.words() for role in roles))


async def incidents(database: str) -> list[Incident]:
    async with await connect(database) as conn:
        rows = await (await conn.execute("SELECT body FROM incidents")).fetchall()
    return [msgspec.convert(body, Incident) for (body,) in rows]
