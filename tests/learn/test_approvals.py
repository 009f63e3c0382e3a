"""A question is asked once, the first answer counts, and unanswered it expires."""

from datetime import UTC, datetime, timedelta

from streams.learn.controls.approvals import KEPT, Approvals
from streams.records import Approval, ApprovalAnswered, ApprovalAsked, ApprovalEnded, Obligation, Tick
from streams.respond.messages import PageDoc, read
from streams.respond.routing import BookValues, Owner

AT = datetime(2026, 9, 14, 10, 0, tzinfo=UTC)
VALUES = BookValues(owners=(Owner(name="payments", channel="C0PAY", mention="S0PAY", agents=("pay-*",)),))
ASKED = ApprovalAsked(id="q1", action="refund.create", at=AT, until=AT + timedelta(minutes=30), agent="pay-bot")
YES = ApprovalAnswered("q1", "approved", "ada", AT + timedelta(minutes=1), "slack")
NO = ApprovalAnswered("q1", "refused", "bob", AT + timedelta(minutes=2), "web")


def steps(*records):
    """States said, obligations' ordinals, and the last step."""
    decider, memory, said = Approvals(VALUES), None, []
    for record in records:
        step = decider.step(memory, record)
        memory = step.remember
        said += step.say
    return (
        [one.state for one in said if isinstance(one, Approval)],
        [one for one in said if isinstance(one, Obligation)],
        step,
    )


def test_it_is_asked_in_the_owners_channel_with_two_buttons():
    states, (owed,), step = steps(ASKED)
    doc = read(owed.body)
    assert isinstance(doc, PageDoc)
    assert (states, owed.destination, step.wake) == (["pending"], "slack:C0PAY", ASKED.until)
    assert (doc.actions, doc.mention) == (("approve", "refuse"), "S0PAY")
    assert "refund.create" in doc.headline


def test_the_first_answer_counts():
    states, owed, _ = steps(ASKED, YES, NO, YES)
    assert states == ["pending", "approved"]
    assert [one.ordinal for one in owed] == [1, 2]
    assert read(owed[1].body).actions == ()


def test_asked_again_under_its_id_it_is_the_same_question_also_after_its_end():
    assert steps(ASKED, ASKED, NO, ASKED, YES)[0] == ["pending", "refused"]


def test_unanswered_it_expires_and_an_answer_that_comes_too_late_does_nothing():
    assert steps(ASKED, Tick(ASKED.until))[0] == ["pending", "expired"]
    late = ApprovalAnswered("q1", "approved", "ada", ASKED.until)
    assert steps(ASKED, late)[0] == ["pending", "expired"]
    assert steps(ASKED, Tick(ASKED.until), YES)[0] == ["pending", "expired"]


def test_what_is_no_longer_wanted_expires_with_its_reason():
    over = ApprovalEnded("q1", YES.at, "its incident is fixed")
    states, owed, _ = steps(ASKED, over, YES)
    assert states == ["pending", "expired"]
    doc = read(owed[1].body)
    assert (doc.actions, doc.headline) == ((), "No longer asked: refund.create")
    assert ("Over because", "its incident is fixed") in [tuple(line) for line in doc.lines]
    assert steps(ASKED, NO, over)[0] == ["pending", "refused"]


def test_before_its_end_nothing_wakes_it_and_a_day_after_it_is_forgotten():
    assert steps(ASKED, Tick(AT))[0] == ["pending"]
    assert steps(ASKED, YES, Tick(YES.at + KEPT))[2].remember is None


def test_an_answer_to_what_nobody_asked_says_nothing():
    assert steps(YES) == ([], [], steps(YES)[2])
