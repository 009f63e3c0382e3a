"""A trouble holds its agent back: from the finding over the book and the controls to the agent that asks its breaker."""

import builders as b
import msgspec
import pytest

from streams.learn.controls.switches import Controls, Values
from streams.records import Control, ControlAsked, Decided, Notice, Obligation, Outcome, PowerChanged, Probed, Silence
from streams.respond import book
from streams.respond.routing import BookValues, Storm
from streams.respond.routing import Breaker as Lease
from streams.sdk.breaker import AgentHalted, Breaker
from streams.sdk.rules import Given

TROUBLE = {"detector": "cost.session", "trouble": "dear", "agent": "bot", "release": "7", "control": "pause"}


class Fold:
    """Deciders with their memories."""

    def __init__(self, *deciders):
        self.deciders, self.memories, self.due = deciders, {}, {}

    def tell(self, record):
        folded = book.fold(self.deciders, self.memories, [record])
        while isinstance(folded, book.Missing):
            self.memories.update(dict.fromkeys(folded.keys))
            folded = book.fold(self.deciders, self.memories, [record])
        assert not folded.isolated, folded.isolated
        self.memories.update(folded.memories)
        self.due.update(folded.wakes)
        return folded.said

    def woken(self, at):
        said = []
        while due := [(when, address) for address, when in self.due.items() if when and when <= at]:
            when, address = min(due)
            self.due[address] = None
            said += self.tell(book.Woken(*address, when))
        return said


class Story:
    """Everything between a detector and an agent, without anything in between."""

    def __init__(self, affected=0.2, **given):
        lease = Lease(lease_s=300)
        values = BookValues(controls={"cost.session": "pause"}, breaker=lease, **given)
        self.book = Fold(*book.deciders(values))
        self.controls = Fold(Controls(Values(lease_s=300)))
        self.affected, self.now, self.beats = affected, 0.0, 0
        self.breaker = Breaker()
        self.breaker.ready()
        self.owed, self.told = [], []

    def finds(self, **given):
        return self._booked(self.book.tell(b.sighted(self.now, wall=self.now, **{**TROUBLE, **given})))

    def says(self, record):
        return self._booked(self.book.tell(record))

    def _booked(self, said):
        for one in said:
            if isinstance(one, Obligation) and one.kind == "control":
                self.owed.append(one)
                asked = msgspec.convert(one.body, ControlAsked)
                self._controlled(self.controls.tell(msgspec.structs.replace(asked, affected=self.affected)))
        return self

    def _controlled(self, said):
        for one in said:
            if isinstance(one, Control):
                self.beats += 1
                self.breaker.beat(self.beats, b.at(self.now).timestamp())
                self.breaker.apply([Given(one.scope.key, msgspec.json.encode(one))])
            if isinstance(one, Notice):
                self.told.append(one.headline.removeprefix("Control: "))
                self.says(one)

    def at(self, seconds):
        self.now = seconds
        self._controlled(self.controls.woken(b.at(seconds)))
        return self

    def decides(self, value):
        name = self.owed[-1].incident
        incident = b.incident(self.now, id=name, about=b.about(agent="bot", release="7"))
        said = Outcome(name, value, b.at(self.now), "ann", "jira")
        self._controlled(self.controls.tell(Decided(said, incident)))
        return self

    def stopped(self, session="s-1", release="7"):
        try:
            self.breaker.check(session, "bot", release)
        except AgentHalted:
            return True
        return False


def test_what_a_detector_finds_stops_the_release_and_no_other():
    story = Story().finds()
    assert story.stopped()
    assert not story.stopped(release="6")
    assert story.told == ["paused bot 7 until 12:05 UTC, longer while it goes on"]


def test_it_is_asked_for_again_while_it_goes_on_but_not_each_time():
    story = Story()
    for second in range(0, 600, 10):
        story.at(second).finds(session=f"s{second}")
    assert len(story.owed) == 6
    assert story.stopped()
    assert len(story.told) == 1


def test_when_it_is_over_a_few_sessions_try_and_then_all_go_ahead():
    story = Story().finds().at(300)
    ahead = [one for one in range(500) if not story.stopped(f"s-{one}")]
    assert 10 < len(ahead) < 45
    trial = story.breaker._controls["release:bot@7"].probe
    scope = story.breaker._controls["release:bot@7"].scope
    story._controlled(story.controls.tell(Probed(scope, trial.since, 10, b.at(story.now))))
    assert not story.stopped()
    assert story.told[-1] == "bot 7 goes ahead again: 10 sessions went ahead without it"


def test_a_decision_lets_it_go_ahead():
    story = Story().finds()
    assert story.stopped()
    assert not story.decides("false_positive").stopped()


def test_what_stops_too_much_only_pages():
    story = Story(affected=0.9).finds()
    assert not story.stopped()
    assert "not done" in story.told[0]


@pytest.mark.parametrize("power", ["shadow", "ticket"])
def test_who_may_not_page_may_not_stop_anybody(power):
    story = Story()
    story.says(PowerChanged("detector:cost.session@1", 1, "block", power, "by the numbers", b.at(0)))
    assert not story.finds().stopped()
    assert story.owed == []


def test_in_a_silence_nobody_is_stopped():
    story = Story()
    story.says(Silence("s-1", {"agent": "bot"}, "load test", "ann", b.at(-10), b.at(3600)))
    assert not story.finds().stopped()


def test_a_trial_run_of_a_detector_stops_nobody():
    assert not Story().finds(dry_run=True).stopped()


def test_detectors_without_a_control_stop_nobody():
    assert not Story().finds(control="").stopped()


def test_a_denied_tool_is_that_of_the_trouble():
    story = Story().finds(control="deny_tool", trouble="refund")
    assert story.owed[0].destination == "control:agent_tool:bot/refund"
    assert not story.stopped()
    with pytest.raises(AgentHalted):
        story.breaker.check("s", "bot", "7", "refund")


def test_people_who_wait_in_a_storm_have_nobody_stopped_before_they_are_told():
    story = Story(storm=Storm(per_minute_max=1))
    story.finds(trouble="other", detector="tool.repeated_error", control="")
    assert not story.finds().stopped()


def test_the_pipelines_own_roles_are_nobodys_agents():
    assert Story().finds(agent="tocsin-intake").owed == []


def test_what_comes_back_in_the_next_release_stops_that_one():
    story = Story().finds()
    story.says(b.outcome(story.owed[0].incident, "fixed", 60))
    story.at(60).decides("fixed")
    assert not story.stopped()
    story.at(120).finds(session="s9", release="8")
    assert story.stopped(release="8")
    assert not story.stopped(release="7")
    assert story.owed[-1].incident.endswith("#2")
