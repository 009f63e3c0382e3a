"""An override's life, and what people hear of it."""

from datetime import timedelta

from learn.gating import NOW, incident
from learn.test_overrides import ONE, asked, asking

from streams.learn.gates.overriding import Overriding
from streams.records import Notice, Overridden, OverrideApproved, OverrideEnded, Tick

DECIDER = Overriding()


def lived(*records):
    """Everything that was said, and the memory at the end."""
    memory, said, wake = None, [], None
    for record in records:
        step = DECIDER.step(memory, record)
        memory, wake = step.remember, step.wake
        said += step.say
    return said, memory, wake


def became(said):
    return [one.what for one in said if isinstance(one, Overridden)]


def heard(said):
    return [one for one in said if isinstance(one, Notice)]


def test_asked_for_approved_and_over_each_is_told_under_the_incident():
    override = asked()
    said, memory, _ = lived(
        override, OverrideApproved(override.id, "grace", NOW + timedelta(minutes=5)), Tick(override.expires_at)
    )
    assert became(said) == ["requested", "approved", "expired"]
    assert memory is None
    assert {one.incident for one in heard(said)} == {ONE}
    assert len({one.id for one in heard(said)}) == 3
    assert "approved by grace" in heard(said)[1].lines[0]
    assert "Was the block right?" in heard(said)[2].lines[1]


def test_what_covers_no_incident_is_told_to_the_agents_owner():
    said, _, _ = lived(asked(asking(reasons=("insufficient",))))
    (notice,) = heard(said)
    assert (notice.incident, notice.agent) == ("", "support-bot")


def test_one_that_nobody_approved_ends_without_a_question():
    override = asked()
    said, _, wake = lived(override)
    assert wake == override.expires_at
    said, _, _ = lived(override, Tick(override.expires_at))
    assert became(said) == ["requested", "expired"]
    assert len(heard(said)) == 1


def test_who_asked_for_what_is_critical_does_not_approve_it_whatever_came_in():
    override = asked(None, incident(severity="critical"))
    said, memory, _ = lived(override, OverrideApproved(override.id, "Ada", NOW))
    assert became(said) == ["requested"]
    assert memory.override.approved_by == ""


def test_an_approval_that_comes_late_or_twice_changes_nothing():
    override = asked()
    late = OverrideApproved(override.id, "grace", override.expires_at)
    once = OverrideApproved(override.id, "grace", NOW)
    assert became(lived(override, late)[0]) == ["requested"]
    assert became(lived(override, once, once)[0]) == ["requested", "approved"]
    assert became(lived(override, once, override)[0]) == ["requested", "approved"]  # an echo


def test_ended_by_somebody_or_voided_by_what_is_known():
    override = asked()
    approved = OverrideApproved(override.id, "grace", NOW)
    said, memory, _ = lived(override, approved, OverrideEnded(override.id, NOW, "ada"))
    assert (became(said)[-1], memory) == ("ended", None)
    said, _, _ = lived(
        override, approved, OverrideEnded(override.id, NOW, why="new_evidence: OPS-2 was not known then")
    )
    assert became(said)[-1] == "voided"
    assert "OPS-2" in heard(said)[-1].lines[0]
