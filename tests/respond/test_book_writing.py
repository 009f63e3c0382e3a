"""What people read: enough in a minute, and never more than plain text."""

import builders as b
import pytest
from stories.world import World

from streams.respond import messages
from streams.respond.receivers.slack_text import ELSEWHERE, blocks
from streams.respond.routing import BookValues, Owner

RUNBOOK = "Open the session.\nCheck the tool's service.\nhttps://wiki.example/tools\nStop the retries.\nRoll back.\n"
VALUES = BookValues(
    owners=(Owner(name="payments", agents=("billing",), mention="SPAY"),),
    runbooks={"tool.repeated_error": RUNBOOK},
    pages_url="https://tocsin.example",
    deployment="blue",
)


@pytest.fixture
def world() -> World:
    return World(VALUES)


def test_a_page_says_what_since_when_how_many_who_and_what_to_do(world):
    world.at(180).finds(
        "search",
        event=0,
        count=5,
        observed="5 errors of search in the last 20 calls",
        expected="fewer than 3",
        evidence=(b.excerpt(-5, 4, text="connection refused"), b.excerpt(-2, 5, status="ok", text=None)),
    )
    page = world.page("search")
    assert page.headline == "High: billing: tool search keeps failing"
    assert dict(page.lines) == {
        "What": "5 errors of search in the last 20 calls (expected: fewer than 3)",
        "Since": "2026-09-01 12:00:00 UTC (3 min before this was written)",
        "How many": "at least 5 times, in 1 session",
        "Owner": "payments (agent billing matches billing)",
        "Agent": "billing · release 7 · prod",
        "Seen before": "no",
        "State": "nobody has acknowledged it",
    }
    assert "connection refused" in page.evidence[0]
    assert page.steps == ("Open the session.", "Check the tool's service.", "Stop the retries.")
    assert page.links == (
        ("Incident", "https://tocsin.example/incidents/v1%3Atool.repeated_error%3Asearch%231"),
        ("Runbook", "https://wiki.example/tools"),
    )
    assert (page.mention, page.ticket, page.ticket_pending) == (
        "SPAY",
        f"{page.incident}:ticket:1",
        "Ticket: being opened",
    )


def test_only_the_first_message_mentions_anybody(world):
    world.finds("search").at(60).decides("search", "fixed")
    mentions = [one.body["mention"] for one in world.obligations.values() if one.kind == "page"]
    assert mentions == ["SPAY", "", ""]


def test_an_edited_page_says_how_it_ended(world):
    world.finds("search").at(60).decides("search", "fixed", fixed_in="8")
    page = world.page("search", 3)
    assert page.headline == "Resolved as fixed: billing: tool search keeps failing"
    assert (page.state, page.actions, page.evidence, page.steps) == ("resolved", ("reopen",), (), ())
    assert ("Decided by", "ann (jira)") in page.lines


def test_buttons_offer_what_still_makes_sense(world):
    world.finds("search").acknowledges("search")
    assert world.page("search").actions[0] == "acknowledge"
    assert "acknowledge" not in world.page("search", 3).actions


def test_a_ticket_carries_what_a_person_needs_without_opening_anything_else(world):
    world.finds("search", severity="critical", evidence=(b.excerpt(0, 7),))
    ticket = messages.read(world.body("search", "ticket"))
    assert ticket.summary == "[critical] billing: tool search keeps failing"
    assert (ticket.project, ticket.issue_type, ticket.priority) == ("OPS", "Task", "Highest")
    assert ticket.seed == "blue/v1:tool.repeated_error:search#1"
    headings = ["What is wrong", "What changed just before", "The last time", "First steps", "How to close this"]
    assert [heading for heading, _ in ticket.sections] == headings
    assert "agent.events/1/0/7" in ticket.evidence[0]


def test_a_ticket_says_where_its_outcome_is_set(world):
    world.finds("search")
    how, _ = dict(world.body("search", "ticket")["sections"])["How to close this"]
    assert "Outcome field" in how
    assert all(outcome in how for outcome in ("fixed", "accepted_risk", "cannot_reproduce"))


def test_a_page_without_buttons_says_where_to_acknowledge(world):
    page = world.finds("search").page("search")
    assert ELSEWHERE in str(blocks(page, {}))
    assert ELSEWHERE not in str(blocks(page, {}, buttons=True))


def test_a_page_of_a_group_names_the_bigger_incident_by_its_title_and_links_to_it(world):
    world.finds("search", title="CRM is down").at(20).finds("refund").at(40).finds("mail")
    page = world.page("refund", 3)
    assert (page.state, page.todo) == ("merged", "Follow “CRM is down”; this one takes its outcome.")
    bigger = "https://tocsin.example/incidents/v1%3Atool.repeated_error%3Asearch%231"
    assert ("Bigger incident", bigger) in page.links


def test_evidence_is_data_with_every_place_it_came_from(world):
    world.finds("search", evidence=(b.excerpt(0, 7), b.excerpt(1, 8)))
    evidence = messages.read(world.body("search", "evidence"))
    assert [one["position"] for one in evidence.excerpts] == ["agent.events/1/0/7", "agent.events/1/0/8"]
    assert (evidence.sessions, evidence.releases) == (("s1",), ("7",))


HOSTILE = "<!channel> *bold*\n{code}\r\n\u202etxt.exe\x00 " + "x" * 5000


def test_untrusted_text_is_one_clipped_line_of_printable_characters(world):
    world.finds(
        "search",
        title=HOSTILE,
        observed=HOSTILE,
        expected=HOSTILE,
        hint=HOSTILE,
        subject={"agent": HOSTILE, HOSTILE: HOSTILE},
        dependency=HOSTILE,
        agent="billing",
        release=HOSTILE,
        evidence=(b.excerpt(0, text=HOSTILE, tool=HOSTILE),),
    )
    world.decides("search", "fixed", fixed_in=HOSTILE, actor=HOSTILE)
    for one in world.obligations.values():
        doc = one.body
        texts = [
            doc.get("headline"),
            doc.get("summary"),
            *doc.get("evidence", ()),
            *(v for _, v in doc.get("fields", ())),
        ]
        texts += [value for _, value in doc["lines"]] if one.kind == "page" else doc.get("lines", [])
        texts += [line for _, lines in doc.get("sections", ()) for line in lines]
        for text in filter(None, texts):
            assert len(text) <= 700
            assert text.isprintable()
    assert len(world.body("search", "ticket")["summary"]) <= 255
    assert len(world.page("search").headline) <= 150


@pytest.mark.parametrize("kind", ["page", "ticket", "evidence", "comment"])
def test_every_body_reads_back_as_its_document(world, kind):
    world.finds("search").decides("search", "fixed")
    body = world.body("search", kind)
    assert body["doc"] == kind
    assert messages.body(messages.read(body)) == body
