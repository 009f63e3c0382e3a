"""What is minded beside the answers: overrides that became void, waits that are too long, releases that went past a gate."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from learn.gating import ASKED, VALUES, incident, inputs
from prometheus_client import CollectorRegistry
from psycopg.types.json import Jsonb

from streams.database import connect, migrate
from streams.detect.scope.bypasses import GateBypass
from streams.learn.gates import missed, overrides
from streams.learn.gates.minding import Minding, Said
from streams.learn.gates.rules import decide
from streams.learn.gates.ruling import answered, overridden
from streams.learn.recording import forget, record_decision
from streams.records import Bypassed, Notice, Overridden, Override

NOW = datetime(2026, 9, 14, 10, 21, tzinfo=UTC)


class Known:
    """A snapshot with these incidents."""

    def __init__(self, *incidents):
        self.incidents = incidents

    def inputs(self, question, read_at, watermark):
        return inputs(*self.incidents, question=question, read_at=read_at, watermark=watermark)


class Minded:
    def __init__(self, conn, **given):
        self.conn, self.registry = conn, CollectorRegistry()
        self.values = msgspec.structs.replace(VALUES, **given)
        told = Said(overrides.holds, overrides.against, missed.waiting)
        self.minding = Minding({"promotion": self.values}, told, self.registry)

    async def turn(self, *incidents, at=NOW):
        await self.minding.turn(self.conn, Known(*incidents), at, at)

    async def says(self, *incidents, at=NOW, asked=True, **given):
        """The gate answers somebody."""
        found = inputs(*incidents, read_at=at, watermark=at, **given)
        decision = decide(self.values, found, at)
        async with self.conn.transaction():
            await record_decision(self.conn, "tocsin.gates", decision, self.values, found)
            if asked:
                await answered(self.conn, decision)
        return decision

    async def deployed(self, number=1, at=NOW, op="promote", result="ok", release=ASKED.release, **body):
        row = ("ci", f"d-{number}", ASKED.agent, release, "prod", op, result, at, Jsonb(body))
        await self.conn.execute("INSERT INTO deployments VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)", row)

    async def ran(self, release, sessions, at=NOW):
        await self.conn.execute(
            "INSERT INTO releases (agent, release, first_seen) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            [ASKED.agent, release, at],
        )
        await self.conn.execute(
            "INSERT INTO exposure (agent, release, environment, generation, minute, sessions, bad)"
            " VALUES (%s, %s, 'prod', 1, %s, %s, 0)",
            [ASKED.agent, release, at, sessions],
        )

    async def rows(self, query):
        return await (await self.conn.execute(query)).fetchall()

    async def findings(self):
        told = await self.rows("SELECT record FROM learn_inbox WHERE record->>'record' = 'bypass.observed' ORDER BY id")
        said = [GateBypass().step(None, msgspec.convert(row[0], Bypassed)).say for row in told]
        return [finding for (finding,) in said]

    async def notices(self):
        return [msgspec.convert(row[0], Notice) for row in await self.rows("SELECT record FROM inbox ORDER BY id")]


@pytest.fixture
async def minded(database):
    migrate(database)
    async with await connect(database) as conn:
        yield Minded(conn)


async def gave(minded, **given):
    override = Override(
        id="o-1",
        gate="promotion",
        agent=ASKED.agent,
        release=ASKED.release,
        environment="prod",
        reasons=(incident().id,),
        reason="The refund tool is mocked in this canary.",
        requested_by="ada",
        approved_by="grace",
        created_at=NOW - timedelta(hours=1),
        expires_at=NOW + timedelta(hours=1),
        known={incident().id: "high"},
        **given,
    )
    await overridden(minded.conn, [Overridden(override, "approved", NOW - timedelta(hours=1))])
    return override


async def active(minded):
    return minded.registry.get_sample_value("agent_gate_overrides_active", {"gate": "promotion"})


async def test_new_evidence_ends_an_override_for_good(minded):
    await gave(minded)
    await minded.turn(incident())
    assert (await active(minded), await minded.rows("SELECT 1 FROM learn_inbox")) == (1, [])
    await minded.turn(incident(), incident(2))
    assert await active(minded) == 0
    ((told,),) = await minded.rows("SELECT record FROM learn_inbox")
    assert (told["record"], told["id"]) == ("override_ended", "o-1")
    assert "OPS-2 was not known then" in told["why"]


async def test_a_wait_that_is_too_long_is_told_once_and_changes_nothing(minded):
    began = NOW - timedelta(hours=25)
    await minded.says(sessions=3, at=began)
    await minded.says(sessions=4, at=NOW - timedelta(minutes=1))
    await minded.turn()
    await minded.turn()
    (notice,) = await minded.notices()
    assert (notice.incident, notice.agent, "25 h" in notice.headline) == ("", ASKED.agent, True)
    assert await minded.rows("SELECT state FROM gate_states") == [("hold",)]


async def test_what_nobody_asks_about_waits_for_nothing(minded):
    await minded.says(sessions=3, at=NOW - timedelta(hours=25), asked=False)
    await minded.turn()
    assert await minded.notices() == []


async def test_a_promotion_of_what_was_blocked_is_found_once(minded):
    await minded.says(incident(), at=NOW - timedelta(hours=1))
    await minded.deployed(decided_by={"kind": "human", "id": "ada"})
    await minded.turn()
    await minded.deployed(2)
    await minded.turn()
    (finding,) = await minded.findings()
    assert (finding.detector, finding.severity, finding.releases) == ("gate.bypass", "medium", (ASKED.release,))
    assert "promoted by ada although the gate's last answer was block" in finding.observed
    ((body,),) = await minded.rows("SELECT body FROM bypasses")
    assert (body["record"], body["how"]) == ("bypass.observed", "promoted")


@pytest.mark.parametrize(
    "deployed",
    [
        {"op": "rollback"},
        {"op": "abort"},
        {"result": "error"},
        {"share": 0.1},
        {"at": NOW - timedelta(hours=2)},  # before anybody asked
    ],
    ids=str,
)
async def test_what_is_no_promotion_goes_past_nothing(minded, deployed):
    await minded.says(incident(), at=NOW - timedelta(hours=1))
    await minded.deployed(**deployed)
    await minded.turn()
    assert await minded.findings() == []


async def test_what_was_let_through_goes_past_nothing(minded):
    await minded.says(sessions=300, at=NOW - timedelta(hours=1))
    await minded.deployed(at=NOW - timedelta(minutes=30))
    await minded.ran(ASKED.release, 100, at=NOW - timedelta(minutes=5))
    await minded.says(incident(), at=NOW - timedelta(minutes=1))
    await minded.turn()
    assert await minded.findings() == []


async def test_where_gates_are_not_asked_there_is_nothing_to_go_past(minded):
    await minded.says(incident(), at=NOW - timedelta(hours=1), asked=False)
    await minded.deployed()
    await minded.turn()
    assert await minded.findings() == []


async def test_who_asked_once_gets_no_finding_with_each_release_that_nobody_asks_about(minded):
    earlier = msgspec.structs.replace(ASKED, release="2026.09.1")
    await minded.says(incident(), at=NOW - timedelta(days=1), question=earlier)
    await minded.says(incident(), at=NOW - timedelta(hours=1), asked=False)
    await minded.deployed()
    await minded.ran(ASKED.release, 100, at=NOW - timedelta(minutes=5))
    await minded.turn()
    assert await minded.findings() == []


async def test_who_is_slow_to_write_an_earlier_answer_down_changes_nothing(minded):
    await minded.says(sessions=300, at=NOW)
    await minded.says(incident(), at=NOW - timedelta(seconds=1))
    assert await minded.rows("SELECT state FROM gate_states") == [("allow",)]


async def test_what_somebody_made_up_is_forgotten_with_the_question(minded):
    for release in ("made-up", ASKED.release):
        question = msgspec.structs.replace(ASKED, release=release)
        await minded.says(sessions=3, at=datetime.now(UTC) - timedelta(days=91), question=question)
    await minded.ran(ASKED.release, 1)
    await forget(minded.conn)
    assert await minded.rows("SELECT release FROM gate_states") == [(ASKED.release,)]
    assert await minded.rows("SELECT release FROM decisions") == [(ASKED.release,)]
    assert await minded.rows("SELECT release FROM gate_asked") == []


async def test_most_of_the_sessions_without_a_yes_are_found_too(minded):
    await minded.says(incident(), at=NOW - timedelta(hours=1))
    await minded.ran("2026.09.2", 40, at=NOW - timedelta(minutes=5))
    await minded.ran(ASKED.release, 20, at=NOW - timedelta(minutes=5))
    await minded.turn()
    assert await minded.findings() == []  # a canary
    await minded.ran(ASKED.release, 80, at=NOW - timedelta(minutes=4))
    await minded.turn()
    (finding,) = await minded.findings()
    assert "71%" in finding.observed


async def test_a_gate_in_shadow_mode_is_not_gone_past(database):
    migrate(database)
    async with await connect(database) as conn:
        minded = Minded(conn, shadow=True)
        await minded.says(incident(), at=NOW - timedelta(hours=1))
        await minded.deployed()
        await minded.turn()
        assert await minded.findings() == []
