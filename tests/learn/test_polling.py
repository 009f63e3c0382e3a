"""Tickets of a real (sandbox) Jira that people resolve and reopen."""

from datetime import timedelta

import msgspec
import pytest
from learn.booking import book, owe, sighted
from learn.conftest import Site

from streams.learn.outcomes.jira import TrackerAway
from streams.learn.outcomes.polling import GONE_AFTER
from streams.sandbox.jira import SandboxJira


async def test_resolving_a_ticket_is_an_outcome_for_the_book_the_export_and_the_history(site):
    assert await site.turn() == []
    await site.form("resolve", outcome="fixed", resolution="10004", version="2026.09.4")
    (outcome,) = await site.turn()
    assert (outcome.incident, outcome.outcome, outcome.fixed_in) == (site.incident.id, "fixed", "2026.09.4")
    assert (outcome.actor, outcome.source) == ("Person at the page", "jira")
    assert await site.rows("SELECT incident, outcome, fixed_in, source FROM outcomes") == [
        (site.incident.id, "fixed", "2026.09.4", "jira")
    ]
    ((told,),) = await site.rows("SELECT record FROM inbox")
    assert (told["record"], told["outcome"]) == ("outcome", "fixed")
    ((topic, key, value),) = await site.rows("SELECT topic, key, value FROM publish")
    assert (topic, key, msgspec.json.decode(value)["outcome"]) == ("tocsin.outcomes", site.incident.id, "fixed")


async def test_an_outcome_is_said_once_however_often_it_is_read(site):
    await site.form("resolve", outcome="wont_fix", resolution="10001")
    said = [await site.turn() for _ in range(3)]
    assert [len(one) for one in said] == [1, 0, 0]


async def test_reopening_withdraws_and_a_second_decision_counts_again(site):
    await site.form("resolve", outcome="false_positive", resolution="10005")
    await site.turn()
    await site.form("reopen")
    (back,) = await site.turn()
    assert (back.outcome, back.reopened) == ("false_positive", True)
    await site.form("resolve", outcome="fixed", resolution="10000")
    (again,) = await site.turn()
    assert (again.outcome, again.reopened) == ("fixed", False)
    assert again.at > back.at


async def test_what_somebody_said_on_the_page_is_not_overruled_by_closing_the_ticket(site):
    await book(site.conn, sighted(stage="resolved", outcome="accepted_risk", resolved_by="Ada (web)"))
    number = site.jira.book.find(site.key)
    site.jira.book.move(number, "5b10ac8d82e05b22cc7d4ef5", "10001", {})
    assert await site.turn() == []
    assert await site.turn() == []


async def test_a_jira_that_is_away_changes_nothing_and_is_said(site):
    await site.turn()
    await site.form("resolve", outcome="fixed", resolution="10000")
    await site.jira.serving.stop()
    with pytest.raises(TrackerAway):
        await site.turn()
    assert await site.rows("SELECT done FROM tickets") == [(False,)]


async def test_a_deleted_ticket_is_gone_only_after_ten_minutes_and_never_reopened_by_us(site):
    await site.turn()
    site.jira.book.delete(site.jira.book.find(site.key))
    await site.turn()
    assert await site.rows("SELECT missing_since IS NULL, gone_at FROM tickets") == [(False, None)]
    await site.conn.execute(
        "UPDATE tickets SET missing_since = missing_since - %s", [GONE_AFTER + timedelta(seconds=1)]
    )
    await site.turn()
    assert await site.rows("SELECT gone_at IS NULL FROM tickets") == [(False,)]
    assert await site.rows("SELECT * FROM outcomes") == []


async def test_a_merged_incident_is_not_decided_by_our_own_closing_of_its_ticket(site):
    await book(site.conn, sighted(stage="merged", parent="v1:x:1#1"))
    await site.form("resolve", outcome="duplicate", resolution="10002")
    assert await site.turn() == []


async def test_a_hundred_and_fifty_tickets_are_two_calls_to_cloud(conn):
    jira = SandboxJira()
    site = Site(conn, jira, await jira.start(), True)
    await site.reader.start()
    for number in range(2, 152):
        ticket = jira.book.create("OPS", "x", {"kind": "10001"})
        incident = sighted(number)
        await book(conn, incident)
        await owe(conn, incident, reference=str(ticket.id))
    assert await site.turn() == []
    calls = [call.path for call in jira.serving.calls]
    assert calls.count("/rest/api/3/issue/bulkfetch") == 2
    assert not [path for path in calls if "search" in path]
    await site.reader.stop()
    await jira.stop()


async def test_a_ticket_that_a_person_moved_is_followed_and_the_book_hears_its_new_key(site):
    await site.turn()
    book = site.jira.book
    book.projects["DEV"], book.versions["DEV"], book._numbers["DEV"] = "10009", {}, 0
    book.rekey(book.find(site.key), "ada", "DEV")
    await site.turn()
    assert await site.rows("SELECT reference FROM obligations WHERE kind = 'ticket'") == [("DEV-1",)]
    ((told,),) = await site.rows("SELECT record FROM inbox")
    assert (told["record"], told["kind"], told["was"], told["answer"]["reference"]) == (
        "receipt",
        "ticket",
        site.key,
        "DEV-1",
    )
    await site.turn()
    assert len(await site.rows("SELECT 1 FROM inbox")) == 1, "it is told once"
    site.key = "DEV-1"
    await site.form("resolve", outcome="fixed", resolution="10004")
    (outcome,) = await site.turn()
    assert (outcome.incident, outcome.outcome) == (site.incident.id, "fixed")


async def test_a_deleted_ticket_is_told_to_the_book_once_and_stays_recorded(site):
    await site.turn()
    site.jira.book.delete(site.jira.book.find(site.key))
    await site.turn()
    await site.conn.execute("UPDATE tickets SET missing_since = missing_since - %s", [GONE_AFTER])
    await site.turn()
    await site.turn()
    ((told,),) = await site.rows("SELECT record FROM inbox")
    assert (told["was"], told["answer"]["answer"]) == (site.key, "refused")
    ((state, reference, why),) = await site.rows("SELECT state, reference, why FROM obligations WHERE kind = 'ticket'")
    assert (state, reference) == ("done", site.key)
    assert why.startswith("gone: ")


async def test_a_project_that_may_not_be_seen_any_more_is_no_deleted_ticket(site):
    await site.turn()
    site.jira.rules.revoke("OPS", "BROWSE_PROJECTS")
    for _ in range(2):
        await site.turn()
        await site.conn.execute("UPDATE tickets SET missing_since = missing_since - %s", [GONE_AFTER])
    assert await site.rows("SELECT missing_since, gone_at FROM tickets") == [(None, None)]
    site.jira.rules.grant("OPS")
    await site.form("resolve", outcome="fixed", resolution="10004")
    assert [outcome.outcome for outcome in await site.turn()] == ["fixed"]
