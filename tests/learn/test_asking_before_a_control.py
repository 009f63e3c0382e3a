"""What a detector would do to agents waits for a person where the policy says so: yes does it, no and silence do not."""

from datetime import UTC, datetime

import msgspec
import pytest

from streams import policy as policies
from streams.learn.controls.commanding import Commanding
from streams.learn.controls.questions import answer, questions
from streams.learn.deciders import Wired, writers
from streams.learn.recording import tell
from streams.learn.settling import Settling
from streams.records import ApprovalAnswered, ControlAsked, Scope


def settling():
    return Settling(
        Wired(policies.load(), "http://localhost:8080"), writers(Commanding("tocsin.control")), "tocsin.deadletters"
    )


async def asked(conn):
    wanted = ControlAsked(
        id="c1",
        scope=Scope("release", "support-bot", "2026.09.3"),
        want="pause",
        at=datetime.now(UTC),
        automatic=True,
        source="detector:cost.budget",
        approve=True,
        affected=0.1,
    )
    await tell(conn, wanted)
    await settling().turn(conn)
    (question,) = await questions(conn, pending=True)
    return question


async def said(conn, question, word):
    result = await answer(conn, ApprovalAnswered(question.id, word, "ada", datetime.now(UTC), "slack"))
    await settling().turn(conn)
    return result


async def held(conn):
    return [state for (state,) in await (await conn.execute("SELECT state FROM controls")).fetchall()]


async def test_it_is_asked_in_slack_and_done_once_somebody_says_yes(conn):
    question = await asked(conn)
    assert await held(conn) == []
    ((body,),) = await (await conn.execute("SELECT body FROM obligations WHERE receiver = 'slack'")).fetchall()
    assert "support-bot" in body["headline"]
    assert body["actions"] == ["approve", "refuse"]
    assert await said(conn, question, "approved") == "heard"
    assert await held(conn) == ["open"]
    assert (await questions(conn, pending=False))[0].actor == "ada"


@pytest.mark.parametrize("word", ["refused", "approved"])
async def test_refused_or_too_late_nothing_is_done(conn, word):
    question = await asked(conn)
    if word == "approved":  # it has expired meanwhile
        await conn.execute(
            "UPDATE approvals SET expires_at = now(), body = body || %s",
            [msgspec.json.encode({"until": datetime.now(UTC)}).decode()],
        )
        assert await said(conn, question, word) == "expired"
    else:
        assert await said(conn, question, word) == "heard"
    assert await held(conn) == []


async def test_where_nobody_was_asked_yet_when_it_is_over_nobody_is(conn):
    question = await asked(conn)
    await said(conn, question, "refused")
    states = dict(
        await (await conn.execute("SELECT ordinal, state FROM obligations WHERE receiver = 'slack'")).fetchall()
    )
    assert states == {1: "expired"}
