"""What people say under tickets of a real (sandbox) Jira, in the cloud and in a data center."""

from datetime import UTC, datetime, timedelta

import aiohttp
import msgspec
import pytest
from learn.booking import book, owe, sighted
from learn.conftest import Site

from streams.beliefs import Person
from streams.learn.outcomes.judging import Judging
from streams.learn.outcomes.meaning import Rules
from streams.learn.outcomes.persons import Persons
from streams.learn.outcomes.polling import Polling
from streams.learn.outcomes.recorder import Recorder
from streams.sandbox.jira import SandboxJira


class Hand:
    """What people do to the ticket over Jira's API, each with an account of their own."""

    def __init__(self, site):
        self.site = site
        self.api = "3" if site.reader._cloud else "2"

    async def call(self, method, path, body=None, who="ada@example.com"):
        url = f"{self.site.url}/rest/api/{self.api}/{path}"
        auth = {"Authorization": aiohttp.encode_basic_auth(who, "sandbox")}
        async with aiohttp.ClientSession(headers=auth) as http, http.request(method, url, json=body) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json() if answer.status in (200, 201) and answer.content_length else None

    def body(self, text):
        if self.api == "2":
            return {"body": text}
        paragraphs = [{"type": "paragraph", "content": [{"type": "text", "text": line}]} for line in text.split("\n")]
        return {"body": {"type": "doc", "version": 1, "content": paragraphs}}

    async def says(self, text, **given):
        return (await self.call("POST", f"issue/{self.site.key}/comment", self.body(text), **given))["id"]

    async def edits(self, comment, text, **given):
        await self.call("PUT", f"issue/{self.site.key}/comment/{comment}", self.body(text), **given)

    async def sets(self, **fields):
        await self.call("PUT", f"issue/{self.site.key}", {"fields": fields})


@pytest.fixture
def hand(site):
    return Hand(site)


async def test_a_comment_command_decides_without_anybody_closing_the_ticket(site, hand):
    await site.turn()
    await hand.says("I had a look.\n/fp why=stale_reference the FAQ moved")
    (outcome,) = await site.turn()
    assert (outcome.outcome, outcome.why, outcome.source) == ("false_positive", "stale_reference", "comment")
    assert (outcome.actor, outcome.reason) == ("Ada Lindqvist", "the FAQ moved")
    assert await site.turn() == []
    ((body,),) = await site.rows("SELECT body FROM outcomes")
    assert (body["why"], body["source"]) == ("stale_reference", "comment")


async def test_the_resolution_that_comes_with_a_command_says_less_than_the_command(site, hand):
    await hand.says("/risk until=2027-01-31")
    await site.form("resolve", outcome="fixed", resolution="10000")
    await hand.sets(customfield_10100=None)
    said = await site.turn()
    assert [one.outcome for one in said] == ["accepted_risk"]


async def test_an_edited_command_is_heard_again_and_a_deleted_one_was_said(site, hand):
    comment = await hand.says("/outcome fixed in=7")
    assert [one.fixed_in for one in await site.turn()] == ["7"]
    await hand.edits(comment, "/outcome fixed in=8 cause=prompt", who="bruno@example.com")
    (again,) = await site.turn()
    assert (again.fixed_in, again.cause, again.actor) == ("8", "prompt", "Bruno Okafor")
    await hand.edits(comment, "/outcome fixed in=8 cause=prompt\nthanks everybody")
    await hand.call("DELETE", f"issue/{site.key}/comment/{comment}")
    assert await site.turn() == []


async def test_neither_we_nor_another_machine_decide_by_a_comment(site, hand):
    await hand.says("/fp", who="tocsin@example.com")
    assert await site.turn() == []


async def test_a_malformed_command_is_answered_once_with_what_would_be_right(site, hand):
    await hand.says("/risk until=whenever")
    assert await site.turn() == []
    assert await site.turn() == []
    ((notice,),) = await site.rows("SELECT record FROM inbox")
    assert (notice["record"], notice["incident"]) == ("notice", site.incident.id)
    assert "/risk until=2026-10-31" in " ".join(notice["lines"])


async def test_an_accepted_risk_lasts_until_the_tickets_due_date(site, hand):
    soon = f"{datetime.now(UTC) + timedelta(days=20):%Y-%m-%d}"
    await hand.sets(duedate=soon)
    await site.form("resolve", outcome="accepted_risk", resolution="10006")
    (outcome,) = await site.turn()
    assert (f"{outcome.expires_at - timedelta(days=1):%Y-%m-%d}", outcome.inferred) == (soon, False)
    later = f"{datetime.now(UTC) + timedelta(days=40):%Y-%m-%d}"
    await hand.sets(duedate=later)
    (outcome,) = await site.turn()
    assert f"{outcome.expires_at - timedelta(days=1):%Y-%m-%d}" == later


async def test_an_accepted_risk_without_a_due_date_ahead_lasts_for_thirty_days_which_nobody_said(site, hand):
    await hand.sets(duedate="2020-01-01")
    await site.form("resolve", outcome="accepted_risk", resolution="10006")
    (outcome,) = await site.turn()
    assert (outcome.expires_at - outcome.at, outcome.inferred) == (timedelta(days=30), True)


async def test_the_link_to_the_original_says_of_what_it_is_a_duplicate(site, hand):
    other = sighted(2)
    body = {"fields": {"project": {"key": "OPS"}, "issuetype": {"name": "Task"}, "summary": "the original"}}
    original = (await hand.call("POST", "issue", body))["key"]
    await book(site.conn, msgspec.structs.replace(other, ticket=original))
    ends = {"inwardIssue": {"key": site.key}, "outwardIssue": {"key": original}}
    await hand.call("POST", "issueLink", {"type": {"name": "Duplicate"}, **ends})
    await site.form("resolve", outcome="duplicate", resolution="10002")
    (outcome,) = await site.turn()
    assert (outcome.outcome, outcome.duplicate_of) == ("duplicate", original)
    # The original is open: this one becomes a part of it.
    told = [record for (record,) in await site.rows("SELECT record FROM inbox")]
    assert [(one["record"], one.get("parent")) for one in told] == [("merge", other.id)]


async def test_a_custom_resolution_is_mapped_by_its_number_in_whatever_language_it_is_shown(site):
    site.polling = Polling(
        site.reader, Judging({"10005": "accepted_risk"}, Persons()), Recorder("tocsin.outcomes", Rules(Persons(), 10))
    )
    await site.form("resolve", outcome="fixed", resolution="10005")
    await Hand(site).sets(customfield_10100=None)
    assert [one.outcome for one in await site.turn()] == ["accepted_risk"]


async def test_the_actor_is_the_person_that_the_policy_names(site, hand):
    persons = Persons([Person(name="ada", email=["ada@example.com"])])
    site.polling = Polling(site.reader, Judging({}, persons), Recorder("tocsin.outcomes", Rules(persons, 10)))
    await hand.says("/outcome cannot_reproduce")
    assert [one.actor for one in await site.turn()] == ["ada"]


async def test_our_own_account_is_never_a_person(site):
    hand = Hand(site)
    moves = await hand.call("GET", f"issue/{site.key}/transitions")
    done = next(one["id"] for one in moves["transitions"] if one["to"]["name"] == "Done")
    given = {"transition": {"id": done}, "fields": {"resolution": {"id": "10000"}}}
    await hand.call("POST", f"issue/{site.key}/transitions", given, who="tocsin@example.com")
    assert [(one.outcome, one.actor) for one in await site.turn()] == [("fixed", "")]


async def transition(site, who):
    hand = Hand(site)
    moves = await hand.call("GET", f"issue/{site.key}/transitions")
    done = next(one["id"] for one in moves["transitions"] if one["to"]["name"] == "Done")
    given = {"transition": {"id": done}, "fields": {"resolution": {"id": "10000"}}}
    await hand.call("POST", f"issue/{site.key}/transitions", given, who=who)


async def test_what_we_closed_ourselves_is_no_decision_and_people_may_still_make_one(site, hand):
    await site.turn()
    await book(site.conn, msgspec.structs.replace(site.incident, stage="closed", outcome="unspecified"))
    await transition(site, "tocsin@example.com")
    assert await site.turn() == []
    await hand.says("/fp why=expected_behaviour")
    assert [(one.outcome, one.why) for one in await site.turn()] == [("false_positive", "expected_behaviour")]


async def test_ten_tickets_closed_at_once_with_an_eleventh_are_bulk_from_the_first_on(conn):
    jira = SandboxJira()
    site = Site(conn, jira, await jira.start(), True)
    await site.reader.start()
    for number in range(1, 12):
        ticket = jira.book.create("OPS", "x", {"kind": "10001"})
        await book(conn, sighted(number))
        await owe(conn, sighted(number), reference=str(ticket.id))
        jira.book.move(ticket, "ada", "10001", {"resolution": "10005"})
    said = await site.turn()
    assert [one.bulk for one in said] == [True] * 11
    told = await site.rows("SELECT record->>'bulk' FROM learn_inbox")
    assert told == [("true",)] * 11
    await site.reader.stop()
    await jira.stop()
