"""What detectors and people may do to running agents, and how it ends."""

from datetime import UTC, datetime, timedelta

from learn.booking import sighted

from streams.learn.controls.holds import GRACE
from streams.learn.controls.switches import Controls, Values
from streams.records import (
    ApprovalAnswered,
    ApprovalAsked,
    Control,
    ControlAsked,
    ControlGone,
    ControlRefused,
    Decided,
    Notice,
    Outcome,
    Probed,
    Scope,
)
from streams.respond import book

NOW = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)
BOT = Scope("agent", "support-bot")
RELEASE = Scope("release", "support-bot", "2026.09.3")
STABLE = Scope("release", "support-bot", "2026.09.2")
INCIDENT = "v1:cost.session:0000000000000001#1"


class Desk:
    """The decider with its memories and its clock, as learn's loop runs it."""

    def __init__(self, **given):
        self.deciders = (Controls(Values(**given)),)
        self.memories, self.due, self.now = {}, {}, NOW
        self.asked = 0

    def tell(self, record):
        folded = book.fold(self.deciders, self.memories, [record])
        if isinstance(folded, book.Missing):
            self.memories.update(dict.fromkeys(folded.keys))
            folded = book.fold(self.deciders, self.memories, [record])
        assert not folded.isolated
        self.memories.update(folded.memories)
        self.due.update(folded.wakes)
        return folded.said

    def later(self, **span):
        """The clock goes on; everything that is due by then happens at its time."""
        until, said = self.now + timedelta(**span), []
        while due := [(at, address) for address, at in self.due.items() if at and at <= until]:
            at, address = min(due)
            self.due[address] = None
            self.now = max(self.now, at)
            said += self.tell(book.Woken(*address, self.now))
        self.now = until
        return said

    def asks(self, want, scope=RELEASE, **given):
        self.asked += 1
        return self.tell(ControlAsked(id=f"a{self.asked}", scope=scope, want=want, at=self.now, **given))

    def detector(self, want="pause", scope=RELEASE, affected=0.1, incident=INCIDENT, **given):
        known = {"source": "detector:cost.session", "reason": "over its budget", **given}
        return self.asks(want, scope, automatic=True, incident=incident, affected=affected, **known)

    def person(self, want, scope=RELEASE, **given):
        return self.asks(want, scope, actor="ada", **given)


def controls(said):
    return [one for one in said if isinstance(one, Control)]


def only(said):
    (found,) = controls(said)
    return found


def words(said):
    return [one.headline for one in said if isinstance(one, Notice)]


def decided(outcome="fixed", **given):
    incident = sighted(id=INCIDENT, fingerprint=INCIDENT.partition("#")[0], detector="cost.session")
    said = Outcome(
        incident=INCIDENT, outcome=outcome, at=NOW + timedelta(minutes=1), actor="ada", source="web", **given
    )
    return Decided(said, incident)


def test_a_detector_gets_a_lease_that_ends_by_itself():
    desk = Desk(lease_s=300)
    control = only(desk.detector())
    assert (control.state, control.ratio, control.automatic) == ("open", None, True)
    assert control.not_after == NOW + timedelta(seconds=300) + GRACE
    after = only(desk.later(minutes=5))
    assert after.state == "half_open"
    assert after.probe.ratio == 0.05
    assert after.seq > control.seq


def test_a_repeat_renews_the_lease_without_news_to_people():
    desk = Desk()
    assert words(desk.detector()) == ["Control: paused support-bot 2026.09.3 until 12:05 UTC, longer while it goes on"]
    assert desk.later(minutes=4) == []
    said = desk.detector()
    assert only(said).not_after == NOW + timedelta(minutes=9) + GRACE
    assert words(said) == []
    assert desk.later(minutes=4) == []


def test_a_trial_that_the_detector_finds_clean_ends_it():
    desk = Desk()
    desk.detector()
    trial = only(desk.later(minutes=5))
    assert desk.tell(Probed(RELEASE, trial.probe.since, 9, desk.now)) == []
    said = desk.tell(Probed(RELEASE, trial.probe.since, 10, desk.now))
    assert only(said).state == "closed"
    assert words(said) == ["Control: support-bot 2026.09.3 goes ahead again: 10 sessions went ahead without it"]


def test_a_sighting_during_the_trial_stops_it_again():
    desk = Desk()
    desk.detector()
    desk.later(minutes=5)
    assert only(desk.detector()).state == "open"


def test_a_trial_and_that_it_failed_is_no_news_under_the_ticket():
    desk = Desk()
    desk.detector()
    said = desk.later(minutes=5)
    assert (only(said).state, words(said)) == ("half_open", [])
    assert words(desk.detector()) == []
    assert len(words(desk.tell(decided()))) == 1


def test_sessions_of_an_earlier_trial_prove_nothing():
    desk = Desk()
    desk.detector()
    first = only(desk.later(minutes=5))
    desk.detector()
    desk.later(minutes=5)
    assert desk.tell(Probed(RELEASE, first.probe.since, 50, desk.now)) == []


def test_an_agent_that_nobody_calls_is_not_on_trial_for_ever():
    desk = Desk()
    desk.detector()
    said = controls(desk.later(hours=2))
    assert [one.state for one in said if one.state != "half_open"] == ["closed"]
    assert len([one for one in said if one.state == "half_open"]) > 1, "a trial is a lease, too"


def test_a_throttle_let_sessions_through_all_the_time_and_simply_ends():
    desk = Desk(throttle_share=0.2)
    control = only(desk.detector("throttle"))
    assert (control.state, control.ratio, control.on_stale) == ("open", 0.2, "expire")
    assert only(desk.later(minutes=5)).state == "closed"


def test_a_persons_stop_never_ends_by_itself():
    desk = Desk()
    control = only(desk.person("pause", reason="looks wrong"))
    assert (control.state, control.not_after, control.actor, control.on_stale) == ("open", None, "ada", "keep")
    assert desk.later(days=30) == []
    assert only(desk.person("close")).state == "closed"


def test_a_persons_stop_with_an_end_ends_then():
    desk = Desk()
    assert only(desk.person("pause", until=NOW + timedelta(hours=1))).not_after == NOW + timedelta(hours=1)
    assert only(desk.later(hours=1)).state == "closed"


def test_what_ended_before_it_was_asked_for_is_not_done():
    assert Desk().person("pause", until=NOW - timedelta(seconds=1)) == []


def test_a_lease_upon_a_persons_throttle_leaves_the_throttle_when_it_is_over():
    desk = Desk()
    desk.person("throttle", ratio=0.1)
    both = only(desk.detector("pause"))
    assert (both.ratio, both.automatic) == (None, True)
    assert both.beneath.ratio == 0.1
    assert both.beneath.not_after is None, "agents keep it when nobody is there to tell them"
    after = only(desk.later(minutes=5))
    assert (after.state, after.ratio, after.actor) == ("open", 0.1, "ada")


def test_a_persons_stop_is_stricter_than_a_detectors_throttle():
    desk = Desk()
    desk.detector("throttle")
    control = only(desk.person("pause"))
    assert (control.ratio, control.not_after, control.automatic) == (None, None, False)


def test_detectors_stop_no_more_than_their_radius():
    desk = Desk()
    said = desk.detector("pause", affected=0.6)
    assert controls(said) == []
    (refusal,) = (one for one in said if isinstance(one, ControlRefused))
    assert refusal.source == "detector:cost.session"
    (word,) = words(said)
    assert "not done, it would stop 60% of the agent's sessions, and 30% is what may be" in word
    assert desk.detector("pause", affected=0.6) == [], "it is said once"


def test_the_radius_is_that_of_all_releases_together():
    desk = Desk()
    assert controls(desk.detector(affected=0.2))
    assert not controls(desk.detector(scope=STABLE, affected=0.2, incident="v1:loop.stale:1#1"))
    assert controls(desk.detector(scope=STABLE, affected=0.1, incident="v1:loop.stale:2#1"))


def test_a_throttle_is_made_weaker_until_it_fits():
    assert only(Desk().detector("throttle", affected=1.0)).ratio == 0.3


def test_what_nobody_counted_may_be_everything():
    assert not controls(Desk().detector("pause", affected=None))
    assert only(Desk().detector("throttle", affected=None)).ratio == 0.3


def test_people_are_not_bound_by_the_radius():
    assert only(Desk().person("force_open", BOT)).state == "forced_open"


def test_a_decision_ends_what_a_detector_began_but_not_what_a_person_did():
    desk = Desk()
    desk.detector()
    desk.person("throttle", STABLE, ratio=0.5)
    said = desk.tell(decided())
    assert (only(said).scope, only(said).state) == (RELEASE, "closed")
    assert words(said) == [f"Control: support-bot 2026.09.3 goes ahead again: {INCIDENT} is fixed"]


def test_a_cause_elsewhere_does_not_end_it():
    desk = Desk()
    desk.detector()
    assert desk.tell(decided("external_cause")) == []


def test_what_a_person_has_lifted_the_same_trouble_does_not_close_again():
    desk = Desk()
    desk.detector()
    desk.person("close")
    assert desk.detector() == []
    assert controls(desk.detector(incident="v1:cost.session:2#1")), "another one may"


def test_it_stays_lifted_also_when_agents_have_forgotten_it():
    desk = Desk()
    desk.detector()
    desk.person("close")
    assert [type(one) for one in desk.later(hours=2)] == [ControlGone]
    assert desk.detector() == []
    assert controls(desk.detector(incident="v1:cost.session:2#1")), "another one may"
    desk.later(days=31)
    assert desk.memories["controls", "agent:support-bot"] is None, "it is not kept for ever"


def test_where_a_person_has_switched_controls_off_detectors_ask_in_vain():
    desk = Desk()
    assert only(desk.person("disable")).state == "disabled"
    said = desk.detector()
    assert controls(said) == []
    assert "a person has switched automatic controls off here" in words(said)[0]


def test_what_is_only_measured_is_said_to_agents_as_what_it_would_be():
    desk = Desk()
    assert only(desk.person("measure")).state == "metrics_only"
    control = only(desk.detector("pause"))
    assert (control.state, control.ratio) == ("metrics_only", None)
    assert not control.denies("any session")


def test_an_echo_changes_nothing():
    desk = Desk()
    ask = ControlAsked(id="one", scope=RELEASE, want="pause", at=NOW, actor="ada")
    assert controls(desk.tell(ask))
    desk.person("close")
    assert desk.tell(ask) == []


def test_what_needs_approval_waits_for_it():
    desk = Desk(approve=("cost.*",))
    said = desk.detector()
    assert controls(said) == []
    (question,) = (one for one in said if isinstance(one, ApprovalAsked))
    assert question.until == NOW + timedelta(minutes=30)
    assert question.action == "pause support-bot 2026.09.3"
    assert desk.detector() == [], "one question is enough"
    control = only(desk.tell(ApprovalAnswered(question.id, "approved", "ada", NOW + timedelta(minutes=2))))
    assert (control.state, control.automatic) == ("open", True)
    assert control.reason == "over its budget (approved by ada)"
    desk.now = NOW + timedelta(minutes=5)
    assert only(desk.detector()).state == "open", "a repeat needs no further approval"


def test_unanswered_it_expires_undone():
    desk = Desk(approve=("*",))
    desk.detector()
    assert words(desk.later(minutes=30)) == [
        "Control: pause support-bot 2026.09.3: not done, nobody approved it in time"
    ]


def test_an_answer_that_comes_too_late_does_nothing():
    desk = Desk(approve=("*",))
    (question,) = (one for one in desk.detector() if isinstance(one, ApprovalAsked))
    desk.later(minutes=31)
    assert desk.tell(ApprovalAnswered(question.id, "approved", "ada", desk.now)) == []


def test_refused_it_is_not_done():
    desk = Desk(approve=("*",))
    (question,) = (one for one in desk.detector() if isinstance(one, ApprovalAsked))
    said = desk.tell(ApprovalAnswered(question.id, "refused", "ada", NOW))
    assert words(said) == ["Control: pause support-bot 2026.09.3: not done, ada refused it"]
    assert desk.detector() == [], "a person is not asked the same again while it goes on"
    desk.tell(decided("fixed", reopened=True))
    assert isinstance(desk.detector()[0], ApprovalAsked)


def test_a_question_ends_with_its_incident():
    desk = Desk(approve=("*",))
    (question,) = (one for one in desk.detector() if isinstance(one, ApprovalAsked))
    (ended,) = desk.tell(decided("external_cause"))
    assert (ended.id, ended.why) == (question.id, f"{INCIDENT} is external_cause")
    assert desk.tell(ApprovalAnswered(question.id, "approved", "ada", NOW)) == []


def test_a_closed_scope_is_forgotten_after_a_while_and_its_number_still_grows():
    desk = Desk()
    first = only(desk.person("pause"))
    desk.person("close")
    assert [type(one) for one in desk.later(hours=1)] == [ControlGone]
    assert desk.memories["controls", "agent:support-bot"] is None
    assert only(desk.person("pause")).seq > first.seq


def test_a_denied_tool_of_an_agent_stops_no_session():
    control = only(Desk().person("deny_tool", BOT, tools=("refund",)))
    assert (control.ratio, control.limits.tool_deny) == (0.0, ("refund",))
    assert control.denies("s", "refund")
    assert not control.denies("s", "search")
    assert not control.denies("s")


def test_a_tools_own_scope_is_denied_whole():
    control = only(Desk().person("deny_tool", Scope("tool", id="refund")))
    assert control.denies("s", "refund")
