"""How decisions are written down: in bulk, under pressure, as a part of another incident."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from learn.booking import book, sighted
from psycopg.types.json import Jsonb

from streams.beliefs import Person
from streams.learn.outcomes.meaning import Rules
from streams.learn.outcomes.persons import Persons
from streams.learn.outcomes.recorder import Recorder, SamePerson
from streams.records import Confirmed, Outcome

AT = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)
ADA = Person(name="Ada", github=["ada-l"], slack=["U0ADA"])
RECORDER = Recorder("tocsin.outcomes", Rules(Persons([ADA]), 3))


def said(number=1, outcome="fixed", seconds=0.0, actor="Ada", **given):
    return Outcome(sighted(number).id, outcome, AT + timedelta(seconds=seconds), actor, "web", **given)


async def rows(conn, query):
    return await (await conn.execute(query)).fetchall()


async def told(conn):
    """What learn is told, as (incident, bulk)."""
    query = "SELECT record->>'incident', COALESCE(record->>'bulk', 'false') FROM learn_inbox ORDER BY id"
    return [
        (name.rpartition(":")[2].lstrip("0").partition("#")[0], bulk == "true")
        for name, bulk in await rows(conn, query)
    ]


@pytest.fixture
async def booked(conn):
    for number in range(1, 9):
        await book(conn, sighted(number, dependency="openai"))
    return conn


async def test_what_is_missing_is_filled_in_from_what_is_known_of_the_incident(booked):
    found = await RECORDER.record(booked, said(outcome="external_cause", actor="ada-l"))
    assert (found.actor, found.provider, found.inferred) == ("Ada", "openai", True)
    more = await RECORDER.record(booked, said(outcome="external_cause", seconds=1, provider="azure"))
    again = await RECORDER.record(booked, said(outcome="external_cause", seconds=2))
    assert (more.provider, again.provider, again.inferred) == ("azure", "azure", False)


async def test_more_decisions_in_a_minute_than_the_policy_says_wait_all_of_them(booked):
    for number in range(1, 4):
        assert not (await RECORDER.record(booked, said(number, seconds=number))).bulk
    assert await told(booked) == [("1", False), ("2", False), ("3", False)]
    assert (await RECORDER.record(booked, said(4, seconds=20))).bulk
    # Learn hears once more of the three that came before; the book, for which they hold anyway, does not.
    assert sorted((await told(booked))[3:]) == [("1", True), ("2", True), ("3", True), ("4", True)]
    assert len(await rows(booked, "SELECT 1 FROM inbox")) == 4
    assert (await RECORDER.record(booked, said(5, seconds=30))).bulk
    assert len(await told(booked)) == 8
    assert not (await RECORDER.record(booked, said(6, seconds=200))).bulk


async def test_other_people_and_decisions_taken_back_are_no_part_of_a_crowd(booked):
    for number in range(1, 4):
        await RECORDER.record(booked, said(number, seconds=number, actor=f"person {number}"))
        await RECORDER.record(booked, said(number, seconds=number, reopened=True))
    assert not (await RECORDER.record(booked, said(4, seconds=5))).bulk


async def test_a_confirmed_crowd_is_told_to_learn_and_stays_in_the_history(booked):
    for number in range(1, 5):
        await RECORDER.record(booked, said(number, seconds=number))
    names = tuple(sighted(number).id for number in (1, 2, 7))
    found = await RECORDER.confirm(booked, Confirmed(names, "Bruno", AT, "web"))
    assert sorted(found) == sorted(names[:2])  # nobody has decided on the seventh
    ((record,),) = await rows(booked, "SELECT record FROM learn_inbox WHERE record->>'record' = 'confirmed'")
    assert sorted(record["incidents"]) == sorted(names[:2])
    confirmed = await rows(
        booked, "SELECT DISTINCT incident, confirmed_by FROM outcomes WHERE confirmed_by IS NOT NULL"
    )
    assert sorted(confirmed) == sorted((name, "Bruno") for name in names[:2])


async def blocked(conn, incident, author="ada-l"):
    """A gate says block because of it, about a release that somebody wrote."""
    reasons = [{"code": "incident_open", "effect": "block", "rule": "incidents", "detail": {"incident": incident}}]
    document = msgspec.json.encode({"reasons": reasons})
    await conn.execute(
        "INSERT INTO decisions VALUES ('d1', 'promotion', 'support-bot', '8', 'prod', 'block', '', '', now(), %s, '', %s)",
        [document, b"{}"],
    )
    await conn.execute(
        "INSERT INTO overrides (id, gate, agent, release, environment, expires_at, body)"
        " VALUES ('o1', 'promotion', 'support-bot', '8', 'prod', now(), %s)",
        [Jsonb({"requested_by": "chen"})],
    )
    await conn.execute("INSERT INTO gate_states VALUES ('promotion', 'support-bot', '8', 'prod', 'block', 'd1', now())")
    await conn.execute(
        "INSERT INTO releases (agent, release, first_seen, body) VALUES ('support-bot', '8', now(), %s)",
        [Jsonb({"author": {"kind": "human", "id": author}})],
    )


@pytest.mark.parametrize(("actor", "pressed"), [("U0ADA", True), ("chen", True), ("Bruno", False), ("", False)])
async def test_whoever_wants_the_release_says_a_false_positive_under_pressure(booked, actor, pressed):
    await blocked(booked, sighted(1).id)
    assert (await RECORDER.record(booked, said(1, "false_positive", actor=actor))).pressed is pressed
    assert not (await RECORDER.record(booked, said(1, "wont_fix", actor=actor, seconds=1))).pressed
    assert not (await RECORDER.record(booked, said(2, "false_positive", actor=actor, seconds=2))).pressed


async def test_a_second_person_who_says_the_same_takes_the_pressure_off(booked):
    await blocked(booked, sighted(1).id)
    await RECORDER.record(booked, said(1, "false_positive", why="evaluator_wrong"))
    name = (sighted(1).id,)
    for same in ("Ada", "chen"):
        with pytest.raises(SamePerson):
            await RECORDER.confirm(booked, Confirmed(name, same, AT + timedelta(hours=1), "web"))
    assert await RECORDER.confirm(booked, Confirmed(name, "Bruno", AT + timedelta(hours=1), "web")) == name
    last = await rows(booked, "SELECT body FROM outcomes ORDER BY id DESC LIMIT 1")
    assert (last[0][0]["actor"], last[0][0]["why"], last[0][0].get("pressed")) == ("Bruno", "evaluator_wrong", None)
    assert len(await rows(booked, "SELECT 1 FROM inbox")) == 2


async def test_a_duplicate_of_what_is_over_is_only_a_duplicate(booked):
    await book(booked, sighted(2, stage="resolved", outcome="fixed"))
    await RECORDER.record(booked, said(1, "duplicate", duplicate_of=sighted(2).id))
    assert [record["record"] for (record,) in await rows(booked, "SELECT record FROM inbox")] == ["outcome"]
    await RECORDER.record(booked, said(1, "duplicate", seconds=1, duplicate_of=sighted(3).id))
    ((merge,),) = await rows(booked, "SELECT record FROM inbox WHERE record->>'record' = 'merge'")
    assert (merge["incident"], merge["parent"]) == (sighted(1).id, sighted(3).id)
