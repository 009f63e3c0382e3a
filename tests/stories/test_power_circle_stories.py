"""The circle: a failing evaluator, its page, people's word, the power that it loses, and the release that may go on."""

import builders as b
import pytest
from learn.gating import VALUES, inputs
from learn.gating import incident as gate_incident
from learn.test_calibration import Court
from msgspec.structs import replace
from stories.test_power_stories import Bench
from stories.world import page, ticket

from streams.learn.gates.rules import decide
from streams.records import Decided, PowerChanged, evaluator_id, power_of

CODE = "CODE:schema@1"
DETECTOR = evaluator_id("detector", "tool.repeated_error", 1)
VALUED = replace(VALUES, start=Court().start)


def gate(court, *judges):
    """What a gate answers of a release with one open incident of theirs, as things stand."""
    powers = {one: court.power(one) for one in judges}
    one = gate_incident(judges=judges)
    found = decide(VALUED, inputs(one, powers=powers), inputs().read_at)
    return next(why.effect for why in found.reasons if why.detail.get("incident") == one.id)


class Circle(Court):
    """Learn, with a book beside it that hears what learn says."""

    def __init__(self, rules=""):
        super().__init__(rules)
        self.book = Bench()

    def power(self, name):
        changes = [one.after for one in self.said if isinstance(one, PowerChanged) and one.evaluator == name]
        return changes[-1] if changes else power_of(name, {}, self.start)

    def finds(self, trouble, *judges):
        self.now += 60
        self.book.at(self.now).finds(trouble, judges=judges)
        return self

    def people(self, trouble, outcome, **given):
        """A person decides: the book and learn hear it, and the book hears what learn makes of it."""
        self.now += 60
        decided = b.outcome(self.book.id(trouble), outcome, self.now, **given)
        before = len(self.said)
        self.tell(Decided(decided, self.book.incident(trouble)))
        self.book.at(self.now).take(decided)
        self.book.take(*(one for one in self.said[before:] if isinstance(one, PowerChanged)))
        return self


@pytest.fixture
def circle():
    return Circle()


def test_an_evaluator_that_cries_wolf_loses_block_then_page_then_its_ticket(circle):
    assert gate(circle, DETECTOR, CODE) == "block"
    for name in ("a", "b"):
        circle.finds(name, CODE).book.told(page(name), ticket(name))
        circle.people(name, "false_positive")
    assert (circle.power(CODE), circle.power(DETECTOR)) == ("page", "block")
    assert gate(circle, DETECTOR, CODE) == "warn"
    circle.finds("c", CODE).book.told(page("c"), ticket("c"))
    circle.people("c", "false_positive")
    assert circle.power(CODE) == "ticket"
    circle.book.unheard.clear()
    circle.finds("d", CODE).book.told(ticket("d")).told_nothing_else()
    for number in range(5):
        circle.finds(f"x{number}", CODE).people(f"x{number}", "false_positive")
    circle.book.unheard.clear()
    assert circle.power(CODE) == "shadow"
    circle.finds("e", CODE).book.told_nothing()
    assert circle.book.held("e") == ("shadow",)


def test_a_person_gives_block_back_and_the_gate_blocks_again(circle):
    for name in ("a", "b"):
        circle.finds(name, CODE).people(name, "false_positive")
    circle.grants("block", CODE, "it was repaired")
    assert gate(circle, DETECTOR, CODE) == "block"


def test_the_right_word_costs_nothing(circle):
    for number in range(6):
        circle.finds(f"t{number}", CODE).people(f"t{number}", "fixed")
    assert circle.power(CODE) == "block"
    assert gate(circle, DETECTOR, CODE) == "block"
