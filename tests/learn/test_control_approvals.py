"""A control that a person has to approve: from the detector's wish over the question to what agents are told."""

from datetime import UTC, datetime

import pytest

from streams import policy as policies
from streams.database import connect, migrate
from streams.learn.controls.commanding import Commanding
from streams.learn.deciders import Wired, writers
from streams.learn.recording import tell
from streams.learn.settling import Settling
from streams.records import ApprovalAnswered, ControlAsked, Scope

RULES = policies.parse('[breaker]\napprove = ["cost.*"]\n', "policy.toml")


class Learn:
    def __init__(self, conn):
        self.conn = conn
        self.settling = Settling(Wired(RULES), writers(Commanding("tocsin.control")), "tocsin.deadletters")

    async def hears(self, record):
        await tell(self.conn, record)
        while await self.settling.turn(self.conn):
            pass

    async def wants(self, source="detector:cost.session"):
        asked = ControlAsked(
            id=source, scope=Scope("agent", "bot"), want="throttle", at=datetime.now(UTC), automatic=True,
            source=source, reason="over its budget", incident="v1:cost.session:1#1",
        )  # fmt: skip
        await self.hears(asked)

    async def question(self):
        ((name,),) = await self.rows("SELECT id FROM approvals WHERE state = 'pending'")
        return name

    async def rows(self, query):
        return await (await self.conn.execute(query)).fetchall()


@pytest.fixture
async def learn(database):
    migrate(database)
    async with await connect(database) as conn:
        yield Learn(conn)


@pytest.mark.parametrize(("answer", "told"), [("approved", [("open",)]), ("refused", [])])
async def test_agents_are_held_back_once_somebody_has_approved_it(learn, answer, told):
    await learn.wants()
    assert await learn.rows("SELECT state FROM controls") == []
    await learn.hears(ApprovalAnswered(await learn.question(), answer, "ada", datetime.now(UTC)))
    assert await learn.rows("SELECT state FROM approvals") == [(answer,)]
    assert await learn.rows("SELECT state FROM controls") == told
    assert await learn.rows("SELECT 1 FROM publish WHERE topic = 'tocsin.deadletters'") == []


async def test_other_detectors_need_nobody(learn):
    await learn.wants("detector:loop.stale")
    assert await learn.rows("SELECT state FROM controls") == [("open",)]
    assert await learn.rows("SELECT state FROM approvals") == []
