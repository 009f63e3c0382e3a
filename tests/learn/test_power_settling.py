"""People decide, and within one transaction everybody who has to act on it knows: the book, the gates, the export."""

import asyncio
import os
import secrets
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from learn.booking import book as booked
from learn.booking import sighted
from prometheus_client import CollectorRegistry

from streams import policy
from streams.database import connect, migrate
from streams.learn.controls.commanding import Commanding
from streams.learn.deciders import Wired, writers
from streams.learn.outcomes.meaning import Rules
from streams.learn.outcomes.persons import Persons
from streams.learn.outcomes.recorder import Recorder
from streams.learn.power.evaluator_series import EvaluatorSeries
from streams.learn.recording import record_outcome, tell
from streams.learn.settling import Settling
from streams.records import Confirmed, Granted, Outcome, PowerChanged
from streams.settings import Secret

JUDGE = "CODE:schema@1"
NOW = datetime.now(UTC)
RUNNER = Path(__file__).parents[1] / "real/learn_process.py"


class Bench:
    def __init__(self, conn):
        self.conn = conn
        self.commanding = Commanding("tocsin.control", Secret("").reveal().encode() or None)
        self.settling = self.begun()

    def begun(self, reached=lambda _: None):
        rules = policy.load()
        return Settling(Wired(rules), writers(self.commanding), "tocsin.deadletters", reached=reached)

    async def decided(self, number, outcome="false_positive", **given):
        incident = sighted(number, judges=(JUDGE,), version=2)
        await booked(self.conn, incident)
        at = NOW + timedelta(seconds=number)
        said = Outcome(incident.id, outcome, at, "ann", "jira", **given)
        await record_outcome(self.conn, "tocsin.outcomes", said)
        return incident

    async def settle(self):
        while await self.settling.turn(self.conn):
            await asyncio.sleep(0)

    async def rows(self, query):
        return await (await self.conn.execute(query)).fetchall()

    async def powers(self):
        return dict(await self.rows("SELECT evaluator, power FROM powers"))


@pytest.fixture
async def bench(database):
    migrate(database)
    async with await connect(database) as conn:
        yield Bench(conn)


async def killed(database, point):
    """Learn, as a process that kills itself there."""
    given = {key: value for key, value in os.environ.items() if not key.startswith("TOCSIN_")}
    given |= {"TOCSIN_DATABASE": database, "POINT": point}
    process = await asyncio.create_subprocess_exec(sys.executable, str(RUNNER), env=given)
    return await asyncio.wait_for(process.wait(), 60)


async def test_two_false_positives_take_block_and_everybody_knows(bench):
    for number in (1, 2):
        await bench.decided(number)
    await bench.settle()
    assert await bench.powers() == {JUDGE: "page"}
    told = await bench.rows("SELECT record FROM inbox WHERE record->>'record' = 'power_changed' ORDER BY id")
    changes = [msgspec.convert(row[0], PowerChanged) for row in told]
    assert [(one.evaluator, one.number, one.after) for one in changes] == [(JUDGE, 1, "page")]
    assert all(one.worth and "e-value" in one.why for one in changes)
    published = await bench.rows("SELECT key FROM publish WHERE topic = 'tocsin.outcomes' ORDER BY id")
    assert {row[0] for row in published} >= {JUDGE}
    notices = await bench.rows("SELECT record->>'headline' FROM inbox WHERE record->>'record' = 'notice'")
    assert any(JUDGE in row[0] for row in notices)


async def test_whoever_dies_while_settling_takes_power_once(bench):
    class Died(Exception):
        pass

    def die(step):
        if step == "learning:written":
            raise Died

    await bench.decided(1)
    await bench.decided(2)
    with pytest.raises(Died):
        await bench.begun(die).turn(bench.conn)
    assert await bench.powers() == {}
    assert await bench.rows("SELECT count(*) FROM power_changes") == [(0,)]
    bench.settling = bench.begun()
    await bench.settle()
    assert (await bench.powers())[JUDGE] == "page"
    assert await bench.rows("SELECT count(*) FROM power_changes") == [(1,)]


async def test_memory_outlives_the_process(bench):
    await bench.decided(1)
    await bench.settle()
    bench.settling = bench.begun()
    await bench.decided(2)
    await bench.settle()
    assert (await bench.powers())[JUDGE] == "page"


async def test_bulk_counts_once_somebody_stands_by_it(bench):
    incidents = [await bench.decided(number, bulk=True) for number in (1, 2)]
    await bench.settle()
    assert await bench.powers() == {}
    await tell(bench.conn, Confirmed(tuple(one.id for one in incidents), "ann", NOW + timedelta(minutes=1)))
    await bench.settle()
    assert (await bench.powers())[JUDGE] == "page"


async def test_the_eleventh_of_many_at_once_gives_back_what_the_first_ten_took(bench):
    recorder = Recorder("tocsin.outcomes", Rules(Persons(()), 10))
    for number in range(1, 12):
        incident = sighted(number, judges=(JUDGE,), version=2)
        await booked(bench.conn, incident)
        at = NOW + timedelta(seconds=number)
        await recorder.record(bench.conn, Outcome(incident.id, "false_positive", at, "ann", "api"))
        await bench.settle()
        if number == 10:
            assert (await bench.powers())[JUDGE] == "shadow"
    assert set((await bench.powers()).values()) == {"block"}
    told = await bench.rows("SELECT record->>'after' FROM inbox WHERE record->>'record' = 'power_changed' ORDER BY id")
    assert told[-1] == ("block",), "the book knows as well"


@pytest.mark.parametrize("point", ["learning:begun", "learning:written", "learning:committed"])
async def test_power_is_taken_exactly_once_wherever_learn_is_killed(bench, database, point):
    await bench.decided(1)
    await bench.decided(2)
    assert await killed(database, point) == -signal.SIGKILL
    assert await killed(database, "idle") == -signal.SIGKILL
    assert await bench.powers() == {JUDGE: "page"}
    assert await bench.rows("SELECT count(*) FROM power_changes") == [(1,)]
    for table, kind in (("inbox", "power_changed"), ("inbox", "notice")):
        query = f"SELECT count(*) FROM {table} WHERE record->>'record' = '{kind}'"
        assert await bench.rows(query) == [(1,)]
    assert await bench.rows(f"SELECT count(*) FROM publish WHERE key = '{JUDGE}'") == [(1,)]
    assert await bench.rows("SELECT 1 FROM learn_inbox") == []


async def test_what_cannot_be_written_down_is_buried_and_the_rest_goes_on(bench):
    endless = f"CODE:{secrets.token_hex(20_000)}@1"
    for name in (JUDGE, endless):
        await tell(bench.conn, Granted(name, "ticket", "bob", "it is new to us", NOW))
    await bench.settle()
    assert await bench.powers() == {JUDGE: "ticket"}
    assert await bench.rows("SELECT 1 FROM learn_inbox") == []
    assert len(await bench.rows("SELECT 1 FROM publish WHERE topic = 'tocsin.deadletters'")) == 1


async def test_a_grant_is_a_change_by_that_person(bench):
    await tell(bench.conn, Granted(JUDGE, "ticket", "bob", "it is new to us", NOW))
    await bench.settle()
    assert await bench.powers() == {JUDGE: "ticket"}
    assert await bench.rows("SELECT record->>'actor', record->>'why' FROM power_changes") == [
        ("bob", "it is new to us")
    ]


async def test_a_false_positive_of_a_threshold_is_a_proposal_with_its_preview(bench):
    await bench.decided(1)
    await bench.settle()
    ((body,),) = await bench.rows("SELECT body FROM proposals")
    assert (body["threshold"], body["value"], body["seen"], body["dropped"]) == ("errors_min", 4, 1, 1)
    await bench.decided(1, "fixed")
    await bench.settle()
    ((body,),) = await bench.rows("SELECT body FROM proposals")
    assert body["withdrawn"]


async def test_prometheus_sees_bounds_and_power(bench):
    registry = CollectorRegistry()
    series = EvaluatorSeries(policy.load().calibration.starts, registry)
    await bench.decided(1)
    await bench.decided(2)
    await bench.settle()
    await series.read(bench.conn)
    assert registry.get_sample_value("tocsin_evaluator_power", {"evaluator": JUDGE}) == 2
    low, mean, high = (
        registry.get_sample_value("agent_evaluator_precision", {"evaluator": JUDGE, "bound": bound})
        for bound in ("low", "mean", "high")
    )
    assert 0 <= low < mean < high < 1
