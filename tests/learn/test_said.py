"""What people write under a ticket, and who they are."""

from datetime import UTC, datetime, timedelta

import pytest

from streams.beliefs import Person
from streams.learn.outcomes.judging import Judging
from streams.learn.outcomes.meaning import Rules, complete, in_words
from streams.learn.outcomes.persons import Persons
from streams.learn.outcomes.said import Said, Wrong, heard
from streams.learn.outcomes.ticket import Comment, Mark
from streams.records import Outcome

AT = datetime(2026, 9, 14, 9, 59, tzinfo=UTC)
END = datetime(2026, 11, 1, tzinfo=UTC)  # of the last day of October
PEOPLE = Persons(
    [Person(name="Ada Lindqvist", jira=["5b10"], slack=["U0ADA"], email=["ada@example.com"], github=["ada-l"])]
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/outcome fixed in=2026.09.4 cause=prompt", Said("fixed", fixed_in="2026.09.4", cause="prompt")),
        ("/outcome fixed", Said("fixed")),
        ("/Outcome False-Positive why=test_traffic", Said("false_positive", why="test_traffic")),
        ("/fp why=stale_reference the FAQ moved", Said("false_positive", why="stale_reference", reason="the FAQ moved")),
        ("/risk until=2026-10-31", Said("accepted_risk", expires_at=END)),
        ("/wontfix review=2026-10-31 not worth it", Said("wont_fix", review_at=END, reason="not worth it")),
        ('/external provider="Open AI" status page', Said("external_cause", provider="Open AI", reason="status page")),
        ("/external provider=openai cause=tool in=next", Said("external_cause", provider="openai", cause="tool", fixed_in="next")),
        ("/duplicate of=AGT-1", Said("duplicate", duplicate_of="AGT-1")),
        ("Looked at it with Bruno.\n\n  /fp why=evaluator_wrong\nthanks", Said("false_positive", why="evaluator_wrong")),
        ("/reopen it is back", Said("unspecified", reopen=True, reason="it is back")),
    ],
)  # fmt: skip
def test_a_command_is_heard_with_what_it_demands(text, said):
    assert heard(text, AT) == said


@pytest.mark.parametrize(
    "text",
    [
        "fixed it",
        "see /outcome below",
        "//outcome fixed",
        "/assign ada",
        "/usr/bin/fp is broken",
        "",
        "/",
        "/ fp",
        "/fpga",
    ],
)
def test_what_is_no_command_is_none(text):
    assert heard(text, AT) is None


@pytest.mark.parametrize(
    ("text", "what", "right"),
    [
        ("/outcome fixd in=1", "“fixd” is no outcome", "one of fixed, false_positive"),
        ("/outcome", "“” is no outcome", "for example /outcome fixed"),
        ("/fp why=dunno", "why= is one of evaluator_wrong", "/fp why=stale_reference"),
        ("/outcome fixed cause=magic", "cause= is one of prompt", "/outcome fixed in="),
        ("/risk until=2026-13-41", "until= is a day like", "/risk until="),
        ("/risk until=soon", "until= is a day like", "/risk until="),
        ("/risk until=2026-09-01", "is over", "/risk until="),
        ("/fp in=2026.09.4", "takes why=, not in=", "/fp why="),
        ("/outcome cannot_reproduce why=x", "takes nothing but a reason", "/outcome cannot_reproduce"),
        ("/duplicate of=", "", ""),
    ],
)
def test_a_malformed_command_is_answered_with_what_would_be_right(text, what, right):
    found = heard(text, AT)
    if not what:
        assert found == Said("duplicate", reason="of=")
        return
    assert isinstance(found, Wrong)
    assert what in found.what
    assert found.right.startswith(right) or right in found.right


def comment(text, number=1, at=AT, **given):
    return Comment(str(number), text, at, "Ada", (Mark("jira", "5b10"),), **given)


def judged(*comments, before=None):
    return Judging({}, PEOPLE).heard("i", comments, before or {})


def test_a_comment_is_acted_on_once_and_again_when_its_command_was_edited():
    first = judged(comment("/fp why=stale_reference"))
    assert [(one.outcome, one.why, one.actor, one.source) for one in first.outcomes] == [
        ("false_positive", "stale_reference", "Ada Lindqvist", "comment")
    ]
    later = AT + timedelta(hours=1)
    assert judged(comment("/fp why=stale_reference\nps: sorry", at=later), before=first.heard).outcomes == ()
    edited = judged(comment("/fp why=test_traffic", at=later), before=first.heard)
    assert [(one.why, one.at) for one in edited.outcomes] == [("test_traffic", later)]
    assert judged(before=edited.heard).heard == edited.heard  # what was deleted was said all the same


def test_several_comments_are_heard_in_the_order_in_which_they_were_written():
    late, early = comment("/fp", 2, AT + timedelta(minutes=5)), comment("/outcome fixed", 1)
    assert [one.outcome for one in judged(late, early).outcomes] == ["fixed", "false_positive"]


def test_what_we_wrote_ourselves_is_no_command():
    assert judged(comment("/fp why=stale_reference", ours=True)).outcomes == ()


def test_a_malformed_command_is_answered_once():
    first = judged(comment("/risk until=soon"))
    (answer,) = first.notices
    assert answer.incident == "i" and "Ada Lindqvist" in answer.headline
    assert "/risk until=2026-10-31" in " ".join(answer.lines)
    assert judged(comment("/risk until=soon"), before=first.heard).notices == ()


@pytest.mark.parametrize(
    ("name", "person"),
    [
        ("ada lindqvist", "Ada Lindqvist"),
        ("ADA@example.com", "Ada Lindqvist"),
        ("@ada-l", "Ada Lindqvist"),
        ("U0ADA", "Ada Lindqvist"),
        ("Bruno", "Bruno"),
        ("", ""),
    ],
)
def test_one_person_is_one_name_whatever_they_type(name, person):
    assert PEOPLE.typed(name) == person


def test_nobody_is_the_same_as_somebody_unknown():
    assert PEOPLE.same("ada-l", "U0ADA")
    assert not PEOPLE.same("", "")
    assert not PEOPLE.same("ada-l", "bruno")


def said(outcome, **given):
    return Outcome("i", outcome, AT, "ada-l", "slack", **given)


@pytest.mark.parametrize(
    ("given", "attribute", "value", "inferred"),
    [
        (said("fixed"), "fixed_in", "next", True),
        (said("fixed", fixed_in="7"), "fixed_in", "7", False),
        (said("accepted_risk"), "expires_at", AT + timedelta(days=30), True),
        (said("accepted_risk", expires_at=AT + timedelta(days=60)), "expires_at", AT + timedelta(days=60), False),
        (said("accepted_risk", expires_at=AT + timedelta(days=400)), "expires_at", AT + timedelta(days=90), True),
        (said("wont_fix"), "review_at", AT + timedelta(days=180), True),
        (said("wont_fix", review_at=AT + timedelta(days=181)), "review_at", AT + timedelta(days=180), True),
        (said("external_cause"), "provider", "openai", True),
        (said("external_cause", provider="aws"), "provider", "aws", False),
        (said("false_positive"), "why", None, False),
        (said("duplicate"), "duplicate_of", None, False),
        (said("cannot_reproduce", fixed_in="7", why="test_traffic"), "fixed_in", None, False),
    ],
)
def test_what_is_missing_is_filled_in_as_what_is_safe_and_marked(given, attribute, value, inferred):
    found = complete(given, "openai")
    assert (found.outcome, getattr(found, attribute), found.inferred) == (given.outcome, value, inferred)


def test_a_button_that_says_the_same_in_fewer_words_takes_none_of_them_back():
    before = complete(said("fixed", fixed_in="7", cause="prompt"))
    after = complete(said("fixed"), before=before)
    assert (after.fixed_in, after.cause, after.inferred) == ("7", "prompt", False)
    assert complete(said("false_positive"), before=before).cause is None
    guessed = complete(said("fixed"))
    assert complete(said("fixed", fixed_in="8"), before=guessed).inferred is False
    risk = complete(said("accepted_risk"))
    assert complete(said("accepted_risk"), before=risk) == risk


def test_taking_back_says_nothing_else():
    assert complete(in_words("i", Said("unspecified", reopen=True), AT, "ada", "comment")).reopened


def test_more_decisions_within_a_minute_than_people_think_about_are_a_crowd():
    rules = Rules(PEOPLE, 3)
    beside = [(f"o{number}", AT - timedelta(seconds=20 * number)) for number in range(1, 6)]
    assert rules.crowd(said("fixed"), beside) == {"i", "o1", "o2", "o3"}
    assert rules.crowd(said("fixed"), beside[:2]) == frozenset()
    assert rules.crowd(said("fixed"), [("i", AT)] * 9) == frozenset()  # one incident, decided again and again
    spread = [(f"o{number}", AT - timedelta(seconds=31 * number)) for number in range(1, 6)]
    assert rules.crowd(said("fixed"), spread) == frozenset()


def test_pressure_is_a_false_positive_by_whom_it_sets_free():
    rules = Rules(PEOPLE, 10)
    assert rules.pressed(said("false_positive"), ["ADA@example.com"])
    assert not rules.pressed(said("false_positive"), ["bruno", ""])
    assert not rules.pressed(said("fixed"), ["ada-l"])
