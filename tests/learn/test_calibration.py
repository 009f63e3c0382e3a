"""What an evaluator may cause follows from what people decide: lost soon, earned slowly, each step with its numbers."""

from random import Random

import builders as b
import pytest

from streams import policy
from streams.learn.power import weighing, worth
from streams.learn.power.calibration import Calibration
from streams.learn.power.crediting import Crediting, credit_of
from streams.learn.power.weighing import Values
from streams.records import (
    Confirmed,
    Decided,
    Granted,
    Labelled,
    Notice,
    Outcome,
    PowerChanged,
    Worth,
    evaluator_id,
    least,
    power_of,
)
from streams.respond import book

DAY = 86_400.0
CODE = "CODE:schema@1"
LLM = "LLM:grounded@4"


class Court:
    """People decide on incidents of evaluators, one day after another."""

    def __init__(self, rules=""):
        believed = policy.parse(rules, "policy.toml").calibration
        self.start = believed.starts
        values = Values(believed.half_life_d, believed.probation_d, believed.cooldown_d)
        self.deciders = (Crediting(), Calibration(self.start, values))
        self.memories, self.wakes, self.said, self.number, self.now = {}, {}, [], 0, 0.0

    def tell(self, record):
        answer = book.fold(self.deciders, self.memories, [record])
        while isinstance(answer, book.Missing):
            self.memories |= dict.fromkeys(answer.keys)
            answer = book.fold(self.deciders, self.memories, [record])
        assert not answer.isolated
        self.memories |= answer.memories
        self.wakes |= answer.wakes
        self.said += answer.said
        return self

    def on(self, day):
        self.now = day * DAY
        return self

    def decides(self, outcome="fixed", judges=(LLM,), incident=None, **given):
        self.number += incident is None
        name = incident or f"v1:eval.critical:{self.number}#1"
        self.now += 60
        decided = Outcome(
            name, outcome, b.at(self.now), given.pop("actor", "ann"), given.pop("source", "jira"), **given
        )
        about = b.incident(0, id=name, detector="eval.critical", version=1, judges=tuple(judges))
        return self.tell(Decided(decided, about))

    def rejects(self, times=1, **given):
        for _ in range(times):
            self.decides("false_positive", **given)
        return self

    def confirms(self, times=1, **given):
        for _ in range(times):
            self.decides("fixed", **given)
        return self

    def grants(self, power, evaluator=LLM, reason="it is well known"):
        self.now += 60
        return self.tell(Granted(evaluator, power, "bob", reason, b.at(self.now)))

    def worth(self, evaluator=LLM):
        return [one for one in self.said if isinstance(one, Worth) and one.evaluator == evaluator][-1]

    def changes(self, evaluator=LLM):
        found = [one for one in self.said if isinstance(one, PowerChanged) and one.evaluator == evaluator]
        return [(one.before, one.after) for one in found]


def test_who_starts_where():
    start = Court().start
    assert [power_of(one, {}, start) for one in ("detector:loop@1", CODE, "HUMAN:review@1", LLM)] == ["block"] * 3 + [
        "ticket"
    ]
    assert power_of("MODEL:strange@1", {}, start) == "ticket"
    assert least((CODE, LLM), {}, start) == "ticket"
    assert least((), {}, start) == "block"


def test_a_person_grants_in_the_policy_what_one_starts_with():
    rules = '[[calibration.grants]]\nevaluators = ["LLM:ground*"]\npower = "block"\nby = "ann"\n'
    assert power_of(LLM, {}, Court(rules).start) == "block"
    assert power_of("LLM:other@1", {}, Court(rules).start) == "ticket"


@pytest.mark.parametrize(
    ("outcome", "given", "credit"),
    [
        ("fixed", {}, (1, 1)),
        ("accepted_risk", {}, (1, 1)),
        ("wont_fix", {}, (1, -1)),
        ("external_cause", {}, (1, 0)),
        ("false_positive", {}, (-1, -1)),
        ("false_positive", {"why": "expected_behaviour"}, (-1, -1)),
        ("false_positive", {"why": "stale_reference"}, (-1, -1)),
        ("false_positive", {"why": "test_traffic"}, (0, 0)),
        ("duplicate", {}, (0, 0)),
        ("cannot_reproduce", {}, (0, 0)),
        ("unspecified", {}, (0, 0)),
    ],
)
def test_wrong_unimportant_external_and_accepted_are_told_apart(outcome, given, credit):
    assert credit_of(Outcome("x", outcome, b.at(0), **given)) == credit


def test_an_evaluator_loses_block_after_two_false_positives():
    court = Court().rejects(1, judges=(CODE,))
    assert court.worth(CODE).power == "block"
    court.rejects(1, judges=(CODE,))
    assert court.changes(CODE) == [("block", "page")]
    change = next(one for one in court.said if isinstance(one, PowerChanged) and one.evaluator == CODE)
    assert "e-value 37" in change.why
    assert "2 rejected" in change.why
    assert change.worth is not None
    assert change.worth.power == "page"
    told = next(one for one in court.said if isinstance(one, Notice) and CODE in one.headline)
    assert told.incident == "v1:eval.critical:2#1"


def test_its_detector_is_an_evaluator_as_well():
    court = Court().rejects(2, judges=())
    assert court.changes(evaluator_id("detector", "eval.critical", 1)) == [("block", "page")]


def test_block_is_lost_step_by_step_and_the_shadow_is_the_end():
    court = Court().rejects(8, judges=(CODE,))
    assert court.changes(CODE)[:2] == [("block", "page"), ("page", "ticket")]
    assert court.worth(CODE).power == "shadow"


def test_overwhelming_evidence_leads_straight_to_the_shadow():
    court = Court().confirms(30, judges=(CODE,))
    court.grants("block", CODE)  # whatever was before no longer counts against it
    for number in range(40):
        court.rejects(1, judges=(CODE,), bulk=True, incident=f"v1:eval.critical:b{number}#1")
    names = tuple(f"v1:eval.critical:b{number}#1" for number in range(40))
    court.tell(Confirmed(names, "ann", b.at(court.now)))
    assert court.worth(CODE).power == "shadow"
    assert len(court.changes(CODE)) <= 3


def test_a_good_record_that_goes_bad_is_noticed_by_the_sum_long_before_the_evidence():
    court = Court().confirms(40, judges=(CODE,)).rejects(3, judges=(CODE,))
    assert court.changes(CODE) == []
    court.rejects(1, judges=(CODE,))
    assert court.changes(CODE) == [("block", "page")]
    change = next(one for one in court.said if isinstance(one, PowerChanged) and one.evaluator == CODE)
    assert "CUSUM 5.5" in change.why


def test_a_judge_earns_its_page_by_nine_confirmations_and_block_only_by_a_person():
    court = Court().confirms(8)
    assert court.changes() == []
    court.confirms(1)
    assert court.changes() == [("ticket", "page")]
    court.confirms(40)
    assert court.changes() == [("ticket", "page")]
    assert court.worth().proposed is None  # it has not shown that it agrees with itself
    for session in range(6):
        for _ in range(3):
            court.tell(Labelled(LLM, f"s{session}", True, True, "ann", b.at(court.now)))
    assert court.worth().stable == 1.0
    assert court.worth().proposed == "block"
    court.grants("block")
    assert court.changes()[-1] == ("page", "block")
    assert court.worth().granted_by == "bob"


def test_a_judge_that_contradicts_itself_does_not_block_whoever_grants_it():
    court = Court().grants("block")
    assert court.changes() == [("ticket", "page")]
    change = next(one for one in court.said if isinstance(one, PowerChanged))
    assert "agrees with itself" in change.why
    assert change.actor == "bob"


def test_nobody_acting_on_what_is_right_takes_the_page_not_the_trust():
    court = Court()
    for _ in range(3):
        court.decides("wont_fix", judges=(CODE,))
    assert court.worth(CODE).rejected == 0
    assert court.worth(CODE).power == "page"
    court.decides("wont_fix", judges=(CODE,))
    assert court.worth(CODE).power == "ticket"


def test_the_last_word_on_an_incident_is_the_one_that_counts():
    court = Court().rejects(1, judges=(CODE,))
    court.decides("fixed", judges=(CODE,), incident="v1:eval.critical:1#1")
    assert (court.worth(CODE).confirmed, court.worth(CODE).rejected) == (1.0, 0.0)
    assert court.worth(CODE).decisions == 1
    court.decides("fixed", judges=(CODE,), incident="v1:eval.critical:1#1", reopened=True)
    assert (court.worth(CODE).confirmed, court.worth(CODE).rejected) == (0.0, 0.0)


def test_what_follows_a_parent_or_closes_by_itself_is_no_persons_word():
    court = Court().decides("false_positive", source="parent").decides("unspecified", source="book")
    assert court.said == []


def test_many_at_once_count_when_somebody_stands_by_them():
    court = Court().rejects(2, judges=(CODE,), bulk=True)
    assert court.changes(CODE) == []
    court.tell(Confirmed(("v1:eval.critical:1#1", "v1:eval.critical:2#1"), "ann", b.at(court.now + 1)))
    assert court.changes(CODE) == [("block", "page")]


def test_what_the_first_ten_of_many_at_once_took_is_given_back_with_the_eleventh():
    court, said = Court(), []
    for number in range(10):
        court.now = number - 60
        court.decides("false_positive", judges=(CODE,), incident=f"v1:x:{number}#1")
        said.append(court.worth(CODE).power)
    assert (said[0], said[1], said[-1]) == ("block", "page", "shadow")
    for number in range(10):
        court.now = 11 - 60
        court.decides("false_positive", judges=(CODE,), incident=f"v1:x:{number}#1", bulk=True)
    last = court.worth(CODE)
    assert (last.power, last.rejected, last.cooling_until) == ("block", 0, None)
    assert last.probation_until, "as if it had never been lost"
    assert "taken back within a minute" in [one for one in court.said if isinstance(one, PowerChanged)][-1].why


def test_a_loss_that_other_decisions_carry_as_well_stays():
    court = Court().rejects(2, judges=(CODE,))
    court.decides("false_positive", judges=(CODE,), incident="v1:x:1#1", bulk=True)
    assert court.changes(CODE) == [("block", "page")]
    court.now -= 30 + 60
    court.decides("fixed", judges=(CODE,))
    assert court.worth(CODE).power == "page", "one that is right takes nothing back"


def test_what_is_taken_back_later_gives_nothing_back_by_itself():
    court = Court()
    for number in (1, 2):
        court.decides("false_positive", judges=(CODE,), incident=f"v1:x:{number}#1")
    court.now += 60
    for number in (1, 2):
        court.decides("false_positive", judges=(CODE,), incident=f"v1:x:{number}#1", reopened=True)
    assert court.worth(CODE).power == "page"


def test_under_pressure_a_second_person_has_to_agree():
    court = Court().rejects(2, judges=(CODE,), pressed=True)
    names = ("v1:eval.critical:1#1", "v1:eval.critical:2#1")
    court.tell(Confirmed(names, "ann", b.at(court.now + 1)))
    assert court.changes(CODE) == []
    court.tell(Confirmed(names, "bob", b.at(court.now + 2)))
    assert court.changes(CODE) == [("block", "page")]


def test_a_new_version_inherits_a_fifth_and_not_the_power_that_was_lost():
    court = Court().confirms(10, judges=(CODE,)).rejects(8, judges=(CODE,))
    lost = court.worth(CODE).power
    assert lost != "block"
    court.confirms(1, judges=("CODE:schema@2",))
    new = court.worth("CODE:schema@2")
    assert new.confirmed == pytest.approx(1 + 2.0, abs=0.01)
    assert new.rejected == pytest.approx(1.6, abs=0.01)
    assert new.power == max(lost, "ticket", key=("shadow", "ticket", "page", "block").index)
    assert power_of("CODE:schema@3", {CODE: "shadow"}, court.start) == "ticket"


def test_old_decisions_fade():
    court = Court().confirms(4).on(90).confirms(1)
    assert court.worth().confirmed == pytest.approx(3, abs=0.01)
    assert court.worth().decisions == 5


def test_after_a_loss_there_is_no_step_up_for_two_weeks_and_five_decisions():
    court = Court().grants("page").rejects(3)
    assert court.worth().power == "ticket"
    court.on(1).confirms(60)
    assert court.worth().power == "ticket"
    assert court.worth().cooling_until is not None
    court.on(16).confirms(1)
    assert court.worth().power == "page"


def test_what_a_person_took_away_a_person_gives_back():
    court = Court().confirms(20)
    assert court.worth().power == "page"
    court.grants("ticket").on(30).confirms(30)
    assert court.worth().power == "ticket"
    assert court.worth().proposed == "page"


def test_a_persons_grant_begins_anew():
    court = Court().rejects(2, judges=(CODE,)).grants("block", CODE).rejects(1, judges=(CODE,))
    assert court.changes(CODE) == [("block", "page"), ("page", "block")]
    court.rejects(1, judges=(CODE,))
    assert court.changes(CODE)[-1] == ("block", "page")


def test_a_labelled_set_counts_half_and_no_more_than_twenty():
    court = Court()
    for number in range(60):
        court.tell(Labelled(LLM, f"s{number}", True, True, "ann", b.at(number), offline=True))
    found = court.worth()
    assert found.power == "page"  # twenty confirmations' weight
    assert found.labels == 60
    assert found.low == pytest.approx(20 / (20 + 2.7055), abs=0.001)
    assert found.proposed is None


def test_the_sample_says_what_was_overlooked():
    court = Court()
    for number in range(10):
        court.tell(Labelled(LLM, f"s{number}", False, number < 2, "ann", b.at(number)))
    assert court.worth().audited == (0, 0, 2, 8)
    assert (court.worth().confirmed, court.worth().rejected) == (0, 0)


def test_what_it_would_take_is_said_in_words():
    assert Court().confirms(1, judges=(CODE,)).worth(CODE).next == ("3 rejections in a row: block is lost, then page",)
    found = Court().confirms(1).worth().next
    assert "8 confirmations in a row: page" in found
    assert any("before it may block" in one for one in found)


def test_numbers_are_weighed_again_while_nobody_decides_anything():
    court = Court().grants("page").rejects(3).on(2).confirms(60)
    assert court.worth().power == "ticket"
    address = ("calibration", "LLM:grounded")
    for _ in range(4):
        due = court.wakes[address]
        court.tell(book.Woken(*address, due))
    assert court.worth().power == "page"


@pytest.mark.parametrize(
    ("precision", "low", "high"), [(0.98, 0.0, 0.06), (0.8, 0.95, 1.0), (0.5, 0.99, 1.0)], ids=["good", "fair", "poor"]
)
def test_good_ones_keep_block_and_bad_ones_lose_it_within_two_hundred_decisions(precision, low, high):
    """Both rules together, over simulated records."""
    chance, lost = Random(11), 0
    for _ in range(150):
        good = bad = row = 0.0
        for _ in range(200):
            right = chance.random() < precision
            good, bad = good + right, bad + (not right)
            row = max(0.0, row + (-worth.CUSUM_CONFIRMED if right else worth.CUSUM_REJECTED))
            if weighing.loss("block", weighing.Sums(good, bad, good, bad), row):
                lost += 1
                break
    assert low <= lost / 150 <= high
