"""What an evaluator may cause, as people feel it: nobody hears of the shadow, and a ticket wakes nobody."""

import builders as b
import pytest
from stories.telling import OWNERS, told
from stories.world import World, merged, page, ticket

from streams.records import PowerChanged

JUDGE, OTHER = "LLM:tone@1", "CODE:schema@2"
DETECTOR = "detector:tool.repeated_error@1"


class Bench(World):
    number = 0

    def changes(self, after, evaluator=DETECTOR, number=None):
        """The numbers, or a person, say what that evaluator may cause from now on."""
        self.number = number or self.number + 1
        return self.take(PowerChanged(evaluator, self.number, "block", after, "numbers", b.at(self.now)))


@pytest.fixture
def bench():
    return Bench()


def test_nobody_hears_of_the_shadow_but_it_is_written_down(bench):
    bench.changes("shadow").finds("search").told_nothing()
    assert bench.held("search") == ("shadow",)
    assert bench.incident("search").power == "shadow"
    assert bench.incident("search").stage == "open"


def test_who_may_open_a_ticket_wakes_nobody(bench):
    bench.changes("ticket").finds("search").told(ticket("search")).told_nothing_else()
    assert bench.held("search") == ("ticket_only",)
    bench.at(60).finds("search").told_nothing()
    assert bench.held("search") == ("ticket_only",)


def test_who_may_page_tells_as_ever(bench):
    bench.changes("page").finds("search").told(page("search"), ticket("search")).told_nothing_else()
    assert bench.incident("search").power == "page"
    assert bench.held("search") == ()


def test_a_model_that_judges_opens_tickets_until_it_has_earned_more(bench):
    bench.finds("search", judges=(JUDGE,)).told(ticket("search")).told_nothing_else()
    bench.at(30).changes("page", JUDGE).at(60).finds("search", judges=(JUDGE,)).told(page("search"))
    assert bench.held("search") == ()


def test_what_is_the_word_of_several_may_cause_what_the_least_of_them_may(bench):
    bench.finds("search", judges=(OTHER,)).told(page("search"), ticket("search")).told_nothing_else()
    bench.finds("refund", judges=(OTHER, JUDGE)).told(ticket("refund")).told_nothing_else()
    bench.changes("shadow", OTHER).finds("mail", judges=(OTHER, JUDGE)).told_nothing()


def test_power_that_is_lost_takes_back_nothing(bench):
    bench.finds("search").told(page("search"), ticket("search"))
    bench.at(60).changes("shadow").finds("search").told_nothing()
    assert "page" in bench.incident("search").told
    bench.at(90).decides("search", "false_positive")
    assert bench.incident("search").stage == "resolved"
    assert len(bench.unheard) >= 1  # its page and its ticket say how it ended


def test_power_that_is_gained_tells_at_the_next_sighting(bench):
    bench.changes("shadow").finds("search").told_nothing()
    bench.at(60).changes("ticket").told_nothing()
    bench.at(90).finds("search").told(ticket("search")).told_nothing_else()
    bench.at(120).changes("block").at(150).finds("search").told(page("search")).told_nothing_else()


def test_of_two_changes_the_later_one_holds_whichever_is_heard_first(bench):
    bench.changes("page", number=2).changes("shadow", number=1)
    bench.finds("search").told(page("search"), ticket("search")).told_nothing_else()


def test_what_nobody_hears_of_speaks_for_nobody(bench):
    bench.changes("shadow", JUDGE).finds("a", "b", "c", judges=(JUDGE,)).told_nothing()
    bench.at(10).finds("d").told(page("d"), ticket("d")).told_nothing_else()
    bench.at(20).finds("e").told(page("e"), ticket("e")).told_nothing_else()


def test_a_ticket_of_one_who_may_not_page_swallows_no_page(bench):
    bench.finds("a", "b", "c", judges=(JUDGE,)).told(ticket("a"), ticket("b"), merged("b", "a")).told_nothing_else()
    bench.at(10).finds("d").told(page("d"), ticket("d"))
    assert bench.held("d") == ()


def test_a_new_version_speaks_for_itself(bench):
    bench.changes("shadow", "CODE:schema@1")
    bench.finds("search", judges=("CODE:schema@1",)).told_nothing()
    bench.at(5).finds("refund", judges=("CODE:schema@2",)).told(ticket("refund")).told_nothing_else()
    bench.at(10).changes("block", "CODE:schema@2").finds("mail", judges=("CODE:schema@2",)).told(page("mail"))


def test_the_judges_of_an_incident_are_those_heard_last_in_whatever_order_they_come():
    sightings = [(10.0, "LLM:tone@1"), (20.0, "LLM:tone@2"), (15.0, "CODE:schema@1"), (5.0, "LLM:tone@3")]
    seen = set()
    for order in (sightings, sightings[::-1], sightings[2:] + sightings[:2]):
        bench = World()
        for event, judge in order:
            bench.at(bench.now + 30).finds("search", event=event, judges=(judge,))
        seen.add(bench.incident("search").judges)
    assert seen == {("CODE:schema@1", "LLM:tone@2")}


def test_the_judges_of_an_incident_have_a_bound(bench):
    for number in range(60):
        bench.at(number).finds("search", judges=(f"LLM:j{number:02}@1",))
    assert len(bench.incident("search").judges) == 20
    assert "LLM:j59@1" in bench.incident("search").judges


def test_nobody_escalates_what_lost_its_power(bench):
    bench.finds("search").told(page("search"), ticket("search"))
    bench.changes("ticket").at(7200).told_nothing()


# -- from the events on -----------------------------------------------------------------------------------------------

CRITICAL = OWNERS + '[detectors."eval.critical"]\ncritical = ["safety"]\n'
GRANT = '[[calibration.grants]]\nevaluators = ["LLM:safety@*"]\npower = "page"\nby = "ann"\n'


def failing(kind):
    judge = b.r.Evaluator("safety", kind, "3")
    yield b.session_started(0, attribution=b.attribution(team="everybody"), session="s")
    yield b.eval_scored(5, evaluator=judge, passed=False, session="s")


@pytest.mark.parametrize(
    ("kind", "rules", "judge", "pages"),
    [
        ("CODE", "", "CODE:safety@3", True),
        ("llm", "", "LLM:safety@3", False),
        ("LLM", GRANT, "LLM:safety@3", True),
        ("HUMAN", "", "HUMAN:safety@3", True),
        ("ORACLE", "", "ORACLE:safety@3", False),
    ],
)
def test_a_critical_evaluator_pages_if_it_may(kind, rules, judge, pages):
    said = told(failing(kind), CRITICAL.removeprefix(OWNERS) + rules)
    last = next(one for one in reversed(said.incident) if one.detector == "eval.critical")
    assert last.judges == (judge,)
    owed = {one.kind for one in said.obligation if one.incident == last.id}
    assert (owed & {"page", "ticket"}) == ({"page", "ticket"} if pages else {"ticket"})


def test_an_evaluators_failure_rate_is_the_word_of_that_evaluator():
    judge = b.r.Evaluator("tone", "LLM", "7")
    events = [b.session_started(0, attribution=b.attribution(team="everybody"), session="s")]
    events += [b.eval_scored(20 * n, evaluator=judge, passed=True, session=f"s{n}") for n in range(60)]
    events += [b.eval_scored(1200 + 20 * n, evaluator=judge, passed=False, session=f"t{n}") for n in range(20)]
    said = told(events)
    assert {one.judges for one in said.finding if one.detector == "eval.failure_rate"} == {("LLM:tone@7",)}
    assert not [one for one in said.obligation if one.kind == "page" and "eval." in one.incident]
