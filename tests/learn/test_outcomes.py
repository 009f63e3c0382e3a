"""What closing a ticket is taken to mean."""

from datetime import UTC, datetime

import pytest

from streams.learn.outcomes.meaning import decide, meaning
from streams.learn.outcomes.ticket import Known, Mover, TicketRead

ADA = Mover("Ada", datetime(2026, 9, 14, 9, 59, tzinfo=UTC))
OPEN = TicketRead("10001", "OPS-1", done=False)


def done(**given):
    return TicketRead("10001", "OPS-1", done=True, **given)


def said(known, read, mapping=None):
    return decide("incident-1", known, read, mapping or {}, ADA)


@pytest.mark.parametrize(
    ("resolution", "outcome"),
    [
        ("Done", "fixed"),
        ("Fixed", "fixed"),
        ("RESOLVED", "fixed"),
        ("Won't Do", "wont_fix"),
        ("Won't Fix", "wont_fix"),
        ("Declined", "wont_fix"),
        ("Duplicate", "duplicate"),
        ("Cannot Reproduce", "cannot_reproduce"),
        ("Incomplete", "cannot_reproduce"),
        ("Works as designed", "false_positive"),
        ("Not a bug", "false_positive"),
        ("Invalid", "false_positive"),
        ("Known Error", "accepted_risk"),
        ("Accepted risk", "accepted_risk"),
        ("External cause", "external_cause"),
        ("Third party", "external_cause"),
        ("Shipped to Mars", "unspecified"),
        (None, "unspecified"),
    ],
)
def test_a_resolution_means_what_people_usually_mean_by_it_and_is_never_guessed(resolution, outcome):
    assert meaning(done(resolution=resolution), {})[0] == outcome


def test_the_field_outcome_says_more_than_the_resolution():
    assert said(Known(), done(resolution="Done", outcome="False positive")).outcome == "false_positive"


def test_the_policys_names_win_over_the_usual_ones_in_any_case():
    assert meaning(done(resolution="DONE"), {"done": "wont_fix"})[0] == "wont_fix"


def test_a_misspelt_name_in_the_policy_is_not_an_outcome():
    assert meaning(done(resolution="Odd"), {"odd": "fixd"})[0] == "unspecified"


def test_an_outcome_says_who_decided_when_and_where_the_fix_is():
    outcome = said(Known(), done(resolution="Fixed", fix_versions=("2026.09.3", "2026.09.4")))
    assert (outcome.actor, outcome.at, outcome.source, outcome.fixed_in) == ("Ada", ADA.at, "jira", "2026.09.4")


def test_only_a_fix_is_in_a_release():
    assert said(Known(), done(outcome="wont_fix", fix_versions=("2026.09.4",))).fixed_in is None


def test_a_ticket_that_says_the_same_as_before_is_no_news():
    assert said(Known(done=True, outcome="fixed"), done(resolution="Done")) is None
    assert said(Known(), OPEN) is None


def test_a_changed_mind_is_news():
    assert said(Known(done=True, outcome="fixed"), done(outcome="wont_fix")).outcome == "wont_fix"
    later = said(Known(done=True, outcome="fixed"), done(resolution="Done", fix_versions=("2",)))
    assert later.fixed_in == "2"


def test_reopening_takes_the_decision_back():
    outcome = said(Known(done=True, outcome="fixed"), OPEN)
    assert (outcome.outcome, outcome.reopened, outcome.actor) == ("fixed", True, "Ada")


def test_what_somebody_said_in_words_is_not_overruled_by_the_resolution_that_closing_needs():
    known = Known(elsewhere=True)
    assert said(known, done(resolution="Done")) is None
    assert said(known, done(resolution="Done", outcome="accepted_risk")).outcome == "accepted_risk"
