"""From a decision over a case that somebody writes and CI runs to a fix that is verified; and decisions that wait."""

from datetime import timedelta

from learn.booking import SEEN, book, sighted
from learn.test_counting import counting, delivered
from learn.test_deployments import POLICY, settling
from msgspec.structs import replace

from streams.learn.cases.casebook import Wanted, cases
from streams.learn.deciders import proving
from streams.learn.outcomes.meaning import Rules
from streams.learn.outcomes.persons import Persons
from streams.learn.outcomes.recorder import Recorder
from streams.learn.recording import tell
from streams.learn.releases.fixing import Fixing
from streams.records import CaseWritten, Confirmed, Decision, Outcome

RECORDER = Recorder("tocsin.outcomes", Rules(Persons(), 10))
AT = SEEN + timedelta(hours=1)


async def rows(conn, query):
    return await (await conn.execute(query)).fetchall()


async def settled(conn):
    loop = settling()
    while await loop.turn(conn):
        pass


async def fixed(conn, incident):
    """Somebody closes the ticket, and the book has heard of it."""
    said = await RECORDER.record(conn, Outcome(incident.id, "fixed", AT, "Ada", "jira", "2026.09.4", cause="prompt"))
    decision = Decision(at=AT, actor="Ada", cause="prompt", count=incident.count)
    over = replace(incident, stage="resolved", outcome="fixed", fixed_in=said.fixed_in, decision=decision)
    await book(conn, over)
    await settled(conn)


async def test_a_fix_is_verified_by_the_case_that_was_made_of_it(conn):
    incident = sighted(subject={"agent": "support-bot"}, detector="eval.failures")
    await book(conn, incident)
    await fixed(conn, incident)
    (case,) = await cases(conn, Wanted(), "", 10)
    assert (case.state, case.fixed_in, case.agent) == ("draft", "2026.09.4", "support-bot")

    read = [
        delivered(0, "release.registered.v1", release="2026.09.3"),
        delivered(1, "release.registered.v1", release="2026.09.4", parents=["2026.09.3"]),
    ]
    positions = await counting().apply(conn, read, {})
    fixing = Fixing(proving(POLICY))
    await fixing.look(conn)
    states = await rows(conn, "SELECT release, state FROM fixes")
    assert states == [("2026.09.4", "unverified")]

    await tell(conn, CaseWritten(case.id, "Bruno", AT, "asks for the order's number first", "refund me"))
    await settled(conn)
    assert [one.state for one in await cases(conn, Wanted(state="ready"), "", 10)] == ["ready"]
    scores = {"case_id": case.id, "release": "2026.09.4", "runs": 3}
    positions = await counting().apply(conn, [delivered(2, "case.scored.v1", **scores, passes=1)], positions)
    await fixing.look(conn)
    assert await rows(conn, "SELECT state, how FROM fixes") == [("failed", "case")]

    more = {**scores, "runs": 6, "passes": 6}
    await counting().apply(conn, [delivered(3, "case.scored.v1", **more)], positions)
    await fixing.look(conn)
    assert await rows(conn, "SELECT state, how FROM fixes") == [("verified", "case")]
    assert [topic for (topic,) in await rows(conn, "SELECT DISTINCT topic FROM publish")] == ["tocsin.outcomes"]


async def test_what_is_taken_back_leaves_no_case_behind(conn):
    incident = sighted()
    await book(conn, incident)
    await fixed(conn, incident)
    await RECORDER.record(
        conn, Outcome(incident.id, "unspecified", AT + timedelta(hours=1), "Ada", "jira", reopened=True)
    )
    await settled(conn)
    assert [one.state for one in await cases(conn, Wanted(), "", 10)] == ["retired"]


async def test_an_outcome_of_an_incident_that_nobody_knows_stops_nothing(conn):
    await RECORDER.record(conn, Outcome("none#1", "fixed", AT, "Ada", "web"))
    await settled(conn)
    assert await rows(conn, "SELECT 1 FROM learn_inbox") == []
    assert await cases(conn, Wanted(), "", 10) == []


async def test_what_was_decided_in_bulk_counts_for_evaluators_once_somebody_stands_by_it(conn):
    names = [sighted(number).id for number in range(1, 13)]
    said = [Outcome(name, "false_positive", AT + timedelta(seconds=at), "Ada", "jira") for at, name in enumerate(names)]
    for number, one in enumerate(said, 1):
        await book(conn, sighted(number, version=1))
        await RECORDER.record(conn, one, said)
    await settled(conn)
    assert await rows(conn, "SELECT evaluator FROM power_changes") == []
    await RECORDER.confirm(conn, Confirmed(tuple(names), "Bruno", AT + timedelta(minutes=5), "web"))
    await settled(conn)
    assert await rows(conn, "SELECT evaluator, power FROM powers") == [("detector:tool.repeated_error@1", "shadow")]
