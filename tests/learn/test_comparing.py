"""Releases side by side: the database counts what the minutes say, and what gates see of it."""

import random
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from learn.booking import book, sighted
from psycopg.types.json import Jsonb

from streams.database import connect, migrate
from streams.learn.gates.comparing import Comparisons, Cut
from streams.learn.gates.inputs import Index
from streams.learn.gates.pairing import SPAN, STEPS, THIN, Counts, Pair, compared, pairs
from streams.learn.gates.reading import Choosing, Reader
from streams.records import Decision, GateExposure, GateQuestion, GateServing, Measure

NOW = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=30)
BOT, PROD = "support-bot", "prod"


@pytest.fixture
async def conn(database):
    migrate(database)
    async with await connect(database) as conn:
        yield conn


def reader(measures=()):
    return Reader(["critical", "high"], Choosing(pairs, Comparisons(Cut(SPAN, THIN, STEPS), measures)), cases=True)


async def ran(conn, release, minutes, generation=1, more=None):
    """What learn writes of closed minutes."""
    for at, counts in minutes.items():
        row = (BOT, release, PROD, generation, at, counts.sessions, counts.bad, Jsonb((more or {}).get(at, {})))
        await conn.execute(
            "INSERT INTO exposure (agent, release, environment, generation, minute, sessions, bad, more)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            row,
        )
    sums = (sum(one.sessions for one in minutes.values()), sum(one.bad for one in minutes.values()))
    await conn.execute(
        "INSERT INTO exposed VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (agent, release, environment, generation)"
        " DO UPDATE SET sessions = exposed.sessions + EXCLUDED.sessions, bad = exposed.bad + EXCLUDED.bad",
        (BOT, release, PROD, generation, *sums),
    )
    await conn.execute(
        "INSERT INTO releases (agent, release, first_seen) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        (BOT, release, min(minutes)),
    )


async def deployed(conn, release, at, share=None, op="promote"):
    await conn.execute(
        "INSERT INTO deployments VALUES ('/ci', %s, %s, %s, %s, %s, 'ok', %s, %s)",
        (f"{release}{at}", BOT, release, PROD, op, at, Jsonb({} if share is None else {"share": share})),
    )


def ramp(seed, pace):
    """A candidate that gets more and more of the sessions."""
    draw = random.Random(seed)
    candidate, baseline = {}, {}
    for n in range(200):
        share = (0, 0.1, 0.25, 0.5)[n // 50]
        sessions = draw.randint(0, 2 * pace)
        mine = sum(draw.random() < share for _ in range(sessions))
        at = NOW + timedelta(minutes=n)
        if mine:
            candidate[at] = Counts(mine, sum(draw.random() < 0.1 for _ in range(mine)))
        if sessions - mine:
            baseline[at] = Counts(sessions - mine, sum(draw.random() < 0.05 for _ in range(sessions - mine)))
    return candidate, baseline


@pytest.mark.parametrize("pace", [1, 5, 40])
async def test_the_database_counts_what_the_minutes_say(conn, pace):
    candidate, baseline = ramp(pace, pace)
    await ran(conn, "2", candidate)
    await ran(conn, "1", baseline)
    await deployed(conn, "1", NOW - timedelta(days=1))
    snapshot, _ = await reader().read(conn)
    (found,) = [one for one in snapshot.comparisons if one.release == "2"]
    meant = compared(Pair(BOT, "2", PROD, "1"), candidate, baseline)
    assert (found.sessions, found.bad) == (meant.sessions, meant.bad)
    assert (found.baseline_sessions, found.baseline_bad) == (meant.baseline_sessions, meant.baseline_bad)
    assert found.per_minute == pytest.approx(meant.per_minute)
    assert [(one.candidate, one.baseline) for one in found.cells] == [
        (one.candidate, one.baseline) for one in meant.cells
    ]
    assert [one.share for one in found.cells] == pytest.approx([one.share for one in meant.cells], abs=2e-6)
    assert sum(one.candidate for one in found.cells) == found.bad
    assert found.baseline_sessions < sum(one.sessions for one in baseline.values()), "only what ran at the same time"


async def test_a_generation_that_counts_again_adds_nothing(conn):
    candidate, baseline = ramp(7, 20)
    for generation in (1, 2):
        await ran(conn, "2", candidate, generation)
        await ran(conn, "1", baseline, generation)
    await deployed(conn, "1", NOW - timedelta(days=1))
    snapshot, _ = await reader().read(conn)
    (found,) = [one for one in snapshot.comparisons if one.release == "2"]
    assert found.sessions == compared(Pair(BOT, "2", PROD, "1"), candidate, baseline).sessions


async def test_sessions_are_held_against_the_share_that_was_declared(conn):
    candidate, baseline = ramp(3, 40)
    await ran(conn, "2", candidate)
    await ran(conn, "1", baseline)
    await deployed(conn, "1", NOW - timedelta(days=1))
    await deployed(conn, "2", NOW + timedelta(minutes=50), 0.1)
    await deployed(conn, "2", NOW + timedelta(minutes=100), 0.25)
    await deployed(conn, "2", NOW + timedelta(minutes=150), 0.9)
    snapshot, _ = await reader().read(conn)
    (found,) = [one for one in snapshot.comparisons if one.release == "2"]
    assert [one.declared for one in found.shares] == [0.1, 0.25, 0.9]
    assert found.shares[0].candidate / (found.shares[0].candidate + found.shares[0].baseline) == pytest.approx(
        0.1, abs=0.03
    )
    assert Index(snapshot).inputs(GateQuestion(BOT, "2"), NOW, NOW).shares == found.shares


async def test_quantities_and_coverage_come_along(conn):
    at = NOW + timedelta(minutes=1)
    more = {at: {"measures": {"cost": [10, 20.0, 45.0], "steps": [10, 1.0, 1.0]}}}
    await ran(conn, "2", {at: Counts(10, 0)}, more=more)
    await ran(conn, "1", {at: Counts(90, 1)}, more={at: {"measures": {"cost": [90, 90.0, 95.0]}}})
    await conn.execute(
        "INSERT INTO exposed_more VALUES (%s, '2', 'prod', 1, 'ended', 9), (%s, '2', 'prod', 1, 'evaluated', 7)",
        (BOT, BOT),
    )
    await deployed(conn, "1", NOW)
    snapshot, _ = await reader(["cost"]).read(conn)
    (found,) = [one for one in snapshot.comparisons if one.release == "2"]
    assert found.measures == {"cost": (Measure(10, 20.0, 45.0), Measure(90, 90.0, 95.0))}
    assert (found.ended, found.evaluated) == (9, 7)


async def test_what_serves_is_what_was_promoted_last_and_otherwise_what_most_sessions_ran_in(conn):
    await ran(conn, "1", {NOW: Counts(100, 0)})
    await ran(conn, "2", {NOW: Counts(900, 0)})
    known = reader()
    assert (await known.read(conn))[0].serving == (GateServing(BOT, PROD, ("2", "1")),)
    await deployed(conn, "1", NOW)
    assert (await known.read(conn))[0].serving[0].releases[0] == "1"
    await deployed(conn, "3", NOW + timedelta(1), 0.1)
    assert (await known.read(conn))[0].serving[0].releases[0] == "1", "a first step serves nobody yet"
    await deployed(conn, "3", NOW + timedelta(2))
    assert (await known.read(conn))[0].serving[0].releases[:2] == ("3", "1")
    await deployed(conn, "3", NOW + timedelta(3), op="rollback")
    assert (await known.read(conn))[0].serving[0].releases[0] == "1"


async def test_a_look_reads_only_what_has_changed(conn):
    candidate, baseline = ramp(1, 10)
    await ran(conn, "2", candidate)
    await ran(conn, "1", baseline)
    known = reader()
    first, _ = await known.read(conn)
    assert (await known.read(conn))[0] is first
    await book(conn, sighted(1))
    second, _ = await known.read(conn)
    assert len(second.incidents) == 1
    assert second.exposure is first.exposure
    assert second.releases is first.releases
    assert second.comparisons is first.comparisons
    again = "ON CONFLICT (agent, release) DO UPDATE SET first_seen = now() WHERE releases.first_seen > now()"
    await conn.execute(f"INSERT INTO releases (agent, release, first_seen) VALUES ('support-bot', '2', now()) {again}")
    assert (await known.read(conn))[0] is second, "a release that is seen again is no news"


async def test_a_pair_that_somebody_asks_about_is_counted_with_the_next_look(conn):
    for n in range(6):
        await ran(conn, str(n), {NOW + timedelta(minutes=n): Counts(10 + n, 0)})
    known = reader()
    snapshot, _ = await known.read(conn)
    index = Index(snapshot)
    assert index.inputs(GateQuestion(BOT, "0"), NOW, NOW).uncompared
    wanted = index.pair(GateQuestion(BOT, "0"))
    snapshot, _ = await known.read(conn, [wanted])
    assert not Index(snapshot, index).inputs(GateQuestion(BOT, "0"), NOW, NOW).uncompared


def decided(outcome, **given):
    return {"stage": "closed", "outcome": outcome, "decision": Decision(NOW, **given)}


async def test_a_duplicate_follows_what_it_is_a_duplicate_of(conn):
    await book(conn, sighted(1, ticket="OPS-1"))
    await book(conn, sighted(2, ticket="OPS-2", **decided("duplicate", duplicate_of="OPS-1")))
    await book(conn, sighted(3, **decided("duplicate", duplicate_of="OPS-2")))
    await book(conn, sighted(4, **decided("duplicate", duplicate_of="WEB-9")))
    found = {int(one.id[-3:-2]): one for one in (await reader().read(conn))[0].incidents}
    states = {number: (one.stage, one.outcome) for number, one in found.items()}
    assert states[2] == states[3] == ("open", None)
    assert states[4] == ("closed", "duplicate")
    await book(conn, sighted(1, ticket="OPS-1", **decided("false_positive")))
    outcomes = [one.outcome for one in (await reader().read(conn))[0].incidents]
    assert sorted(outcomes) == ["duplicate", "false_positive", "false_positive"]


async def test_two_duplicates_of_each_other_stay_undecided(conn):
    await book(conn, sighted(1, ticket="OPS-1", **decided("duplicate", duplicate_of="OPS-2")))
    await book(conn, sighted(2, ticket="OPS-2", **decided("duplicate", duplicate_of="OPS-1")))
    assert [one.outcome for one in (await reader().read(conn))[0].incidents] == ["duplicate", "duplicate"]


async def test_sessions_since_an_outcome_are_counted(conn):
    await book(conn, sighted(1, **decided("cannot_reproduce")))
    await ran(conn, "1", {NOW - timedelta(minutes=1): Counts(50, 0), NOW + timedelta(minutes=1): Counts(70, 0)})
    assert [one.clean for one in (await reader().read(conn))[0].incidents] == [70]


async def test_rows_that_cannot_be_read_are_fail_closed(conn):
    override = {"id": "o", "gate": "promotion", "agent": BOT, "release": "1", "environment": PROD, "reasons": ["trust"]}
    dates = {"created_at": "2026-01-01T00:00:00Z", "expires_at": "tomorrow"}
    for name, body in (("o1", {**override, **dates}), ("o2", override)):
        await conn.execute(
            "INSERT INTO overrides (id, gate, agent, release, environment, expires_at, body)"
            " VALUES (%s, 'promotion', %s, '1', 'prod', now() + interval '1 day', %s)",
            (name, BOT, Jsonb(body)),
        )
    await conn.execute(
        "INSERT INTO freezes VALUES ('f', now() - interval '1 hour', now() + interval '1 hour', NULL, '{}')"
    )
    snapshot, _ = await reader().read(conn)
    assert snapshot.overrides == ()
    assert [(one.id, one.exempt, one.agents) for one in snapshot.freezes] == [("f", "none", ("*",))]


def test_only_the_newest_releases_that_ran_are_compared_without_being_asked_for():
    serving = [GateServing(BOT, PROD, ("3", "1"))]
    ran_ = [(BOT, str(n), PROD) for n in range(1, 9)]
    found = pairs(serving, {BOT: ["9", "8", "7", "6", "5", "3"]}, ran_, [Pair(BOT, "2", PROD, "1")])
    assert found == [Pair(BOT, "2", PROD, "1"), *(Pair(BOT, name, PROD, "3") for name in ("8", "7", "6"))]


def test_an_exposure_without_minutes_says_nothing():
    assert compared(Pair(BOT, "2", PROD, "1"), {}, {NOW: Counts(5, 1)}).cells == ()
    assert msgspec.json.decode(msgspec.json.encode(GateExposure(BOT, "2", PROD, 1, 0)), type=GateExposure).sessions == 1
