"""What a page, a note, a ticket and its news say of an incident in each part of its life."""

from typing import get_args

import builders as b
import pytest

from streams import records as r
from streams.respond import writing
from streams.respond.receivers import jira_text, slack_text
from streams.respond.routing import BookValues, Owner
from streams.respond.writing_evidence import FIRST, UNKNOWN

VALUES = BookValues(
    owners=(
        Owner(
            name="payments",
            agents=("billing",),
            issue_type="Incident",
            priorities={"high": "P1"},
            fields={"components": [{"name": "agents"}]},
        ),
    ),
    pages_url="https://tocsin.example",
)
AT = b.at(900)


def incident(**given):
    return b.incident(0, owner="payments", **given)


def lines(**given):
    return dict(writing.page(VALUES, incident(**given), AT).lines)


def fields(**given):
    return dict(writing.ticket(VALUES, incident(**given), AT).fields)


# -- the page ---------------------------------------------------------------------------------------------------------


def test_a_page_says_what_changed_just_before_the_newest_first():
    changed = (
        r.Change(b.at(-720), "release", "8", "7"),
        r.Change(b.at(-40), "prompt", "b2:9f"),
        r.Change(b.at(5), "model", "x"),
    )
    assert lines(changed=changed)["Changed before"] == (
        "model x, as it went on; prompt b2:9f, 40 s before it began; release 8 (was 7), 12 min before it began"
    )


def test_a_page_says_how_the_last_one_ended():
    previous = r.Previous("v1:x#1", "fixed", b.at(-86_400), "OPS-31", "ann", "certificate ran out")
    said = lines(previous=previous, episode=2)["Seen before"]
    assert said == "ended as fixed by ann on 2026-08-31: “certificate ran out” (ticket OPS-31)"
    assert lines(previous=r.Previous("v1:x#1"), episode=2)["Seen before"] == "nobody said how it ended"
    assert lines()["Seen before"] == "no"


def test_an_escalated_page_says_so_in_words_and_names_the_level():
    page = writing.page(VALUES, incident(level=2), AT, mention="U0BOB")
    assert page.headline.startswith("High, escalated: ")
    assert dict(page.lines)["State"] == "nobody has acknowledged it; escalated to level 2"
    assert "Level 2: <@U0BOB>" in str(slack_text.blocks(page, {}))


def test_a_page_that_somebody_has_in_hand_says_who_and_asks_nobody_to_acknowledge():
    page = writing.page(VALUES, incident(stage="acknowledged", assigned_to="bob"), AT)
    assert dict(page.lines)["Assigned to"] == "bob"
    assert "State" not in dict(page.lines) and "acknowledge" not in page.actions
    assert page.todo.startswith("bob is on it")


def test_a_quiet_incident_asks_how_it_ended():
    page = writing.page(VALUES, incident(stage="mitigated", quiet_since=b.at(60)), AT)
    assert page.headline.startswith("High, not seen any more")
    assert "2026-09-01 12:01:00 UTC" in dict(page.lines)["State"]
    assert "acknowledge" not in page.actions and "fixed" in page.actions
    closed = writing.page(VALUES, incident(stage="closed", outcome="unspecified", resolved_by="quiet"), AT)
    assert closed.headline.startswith("Closed, not seen any more") and "Decided by" not in dict(closed.lines)


def test_what_agents_share_names_them_and_is_not_said_to_be_in_the_few_sessions_of_the_evidence():
    shared = {"agents": ("a", "b", "c", "d", "e", "f", "g"), "about": r.About(), "subject": {"dependency": "mcp:crm"}}
    found = lines(**shared, dependency="mcp:crm", count=40, sessions=("s1", "s2"))
    assert found["Agents"] == "a, b, c, d, e and 2 more · dependency mcp:crm"
    assert found["How many"] == "at least 40 times, by 7 agents"
    assert fields(**shared, sessions=("s1", "s2"))["Sessions"] == "for example s1, s2"
    assert "by 20 or more agents" in lines(**{**shared, "agents": tuple(map(str, range(20)))})["How many"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"count": 1, "sessions": ("s1",)}, "at least once, in 1 session"),
        ({"count": 30, "sessions": tuple(map(str, range(20)))}, "at least 30 times, in 20 or more sessions"),
        (
            {"count": 9, "sessions": ("s1", "s2"), "about": b.about(session=None)},
            "at least 9 times, in 2 or more sessions",
        ),
        ({"count": 6, "detector": "fleet.heartbeat"}, "at least 6 agents"),
        ({"count": 2}, "at least 2 times"),
    ],
)
def test_a_page_counts_what_its_detector_counted(given, said):
    assert lines(**given)["How many"] == said


def test_the_most_telling_event_is_the_newest_that_says_what_went_wrong():
    evidence = (b.excerpt(0, 1, text="refused"), b.excerpt(1, 2, text="gone away"), b.excerpt(2, 3, status="error", text=None),
                b.excerpt(3, 4, status="ok", text="fine"))  # fmt: skip
    (told,) = writing.page(VALUES, incident(evidence=evidence), AT).evidence
    assert told == "tool call search: error · gone away (session s1, 2026-09-01 12:00:01 UTC, agent.events/1/0/2)"
    scored = b.excerpt(0, 7, type="agent.eval.scored.v1", tool="tone", status="failed", text=None, value=0.25)
    (told,) = writing.page(VALUES, incident(evidence=(scored,)), AT).evidence
    assert told.startswith("evaluation tone: failed, score 0.25 (")


@pytest.mark.parametrize("what", get_args(writing.News))
def test_every_note_has_a_headline_and_belongs_to_the_page(what):
    note = writing.note(VALUES, incident(level=1, assigned_to="bob", parent="v1:y#1"), AT, what)
    assert note.headline and note.page.endswith(":page:1")
    (shown, *_) = slack_text.note(note)
    assert shown["text"]["text"].startswith(note.headline)


def test_an_umbrella_says_what_most_of_them_are():
    waiting = ("v1:tool.repeated_error:x#1", "v1:cost.session:y#1", "v1:tool.repeated_error:z#3", "odd")
    found = dict(writing.umbrella(VALUES, "storm:x", "payments", (30, 4), waiting=waiting).lines)
    assert found["Most of them"] == "tool.repeated_error (2), cost.session (1)"
    assert found["Waiting"].startswith("4 incidents wait")


# -- the ticket -------------------------------------------------------------------------------------------------------


def test_a_ticket_is_opened_as_its_owner_wants_it():
    ticket = writing.ticket(VALUES, incident(severity="high"), AT)
    assert (ticket.issue_type, ticket.priority) == ("Incident", "P1")
    assert ticket.more == {"components": [{"name": "agents"}]}
    assert writing.ticket(VALUES, incident(severity="low"), AT).priority == "Low"


def test_a_ticket_begins_with_all_of_it_in_a_sentence():
    (heading, (sentence, *_)), *_ = writing.ticket(
        VALUES, incident(count=4, sessions=("s1",), releases=("7",)), AT
    ).sections
    assert heading == "What is wrong"
    assert sentence == (
        "billing: tool search keeps failing (at least 4 times, in 1 session, since 2026-09-01 12:00:00 UTC; "
        "billing · release 7 · prod)."
    )


def test_a_ticket_marks_the_first_event_that_went_wrong():
    evidence = (
        b.excerpt(2, 3, status="error"),
        b.excerpt(0, 1, status="ok", text=None),
        b.excerpt(1, 2, status="timeout"),
    )
    timeline = writing.ticket(VALUES, incident(evidence=evidence), AT).evidence
    assert [line.startswith(FIRST) for line in timeline] == [False, True, False]
    assert "timeout" in timeline[1]


def test_the_nine_evidence_fields_are_said_or_said_to_be_unknown():
    evidence = (
        b.excerpt(0, 1),
        b.excerpt(1, 2, type="agent.permission.checked.v1", tool="refund", status="denied", text="decided by human"),
        b.excerpt(2, 3, type="agent.llm.called.v1", tool=None, status="ok", text=None, value=1.5),
    )
    nine = dict(writing.ticket(VALUES, incident(evidence=evidence, detector="cost.session"), AT).nine)
    assert len(nine) == 9
    assert nine["Tool called"].startswith("tool call search: error · refused")
    assert "refund: denied · decided by human" in nine["Human policy decision"]
    assert "cost 1.5" in nine["Session cost"]
    assert [name for name, value in nine.items() if value == UNKNOWN] == [
        "Rejected alternatives", "Retry reason", "Checkpoint", "Evaluator result", "Final side effect",
    ]  # fmt: skip


def test_a_ticket_says_each_thing_once():
    about = r.About("billing", "7", "prod", user="u-17")
    found = writing.ticket(
        VALUES,
        incident(about=about, dependency="crm", subject={"agent": "billing", "dependency": "crm", "tool": "x"}),
        AT,
    )
    names = [name for name, _ in found.fields]
    assert len(names) == len(set(names))
    assert (dict(found.fields)["Dependency"], dict(found.fields)["User"]) == ("crm", "u-17")


def test_a_ticket_without_changes_or_a_past_says_that_nothing_is_known():
    shown = jira_text.wiki(writing.ticket(VALUES, incident(), AT))
    assert "h3. What changed just before\n\nNo event told of a new release" in shown
    assert "h3. The last time\n\nNot seen before" in shown


def test_a_link_leads_back_and_says_when_it_is_over():
    link = writing.link(VALUES, incident())
    assert link.url == "https://tocsin.example/incidents/v1%3Atool.repeated_error%3Asearch%231"
    assert not link.resolved
    ended = writing.link(VALUES, incident(stage="resolved", outcome="fixed"))
    assert ended.resolved and ended.summary.startswith("Ended as fixed")


# -- what is said under it --------------------------------------------------------------------------------------------


def test_comments_say_what_happened_and_since_when():
    one = incident(quiet_since=b.at(60), assigned_to="bob", rose="seen 100 times", severity="critical", count=100)
    assert (
        writing.recovered_comment(VALUES, one, AT)
        .lines[0]
        .startswith("It seems to be over: its agent works on without it since")
    )
    assert (
        writing.back_comment(VALUES, one, AT).lines[0].startswith("It is back: seen again at 2026-09-01 12:00:00 UTC")
    )
    assert (
        writing.assigned_comment(VALUES, one, AT).lines[0].startswith("Assigned to bob since 2026-09-01 12:15:00 UTC")
    )
    assert "seen 100 times" in writing.raised(VALUES, one, AT).lines[0]


def test_closing_for_want_of_an_answer_is_said_and_can_be_taken_back():
    closing = writing.closing(VALUES, incident(quiet_since=b.at(60)))
    assert (closing.to, closing.parent, closing.parent_ticket) == ("done", "", "")
    assert "nobody said how it ended" in closing.lines[0]
    assert "Reopening the ticket takes it back" in closing.lines[-1]
