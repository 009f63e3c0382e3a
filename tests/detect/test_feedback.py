"""What people say of an agent's work."""

from __future__ import annotations

import random

import builders as b
import msgspec
from detect.scoped import Scoped

from streams.detect.scope.feedback import NegativeFeedback

HOUR, DAY = 3600, 86400


class Bench(Scoped):
    def __init__(self) -> None:
        super().__init__(NegativeFeedback())
        self.chance = random.Random(1)

    def answers(self, seconds: float, negative: int, positive: int, release: str = "7") -> None:
        sums = {name: n for name, n in (("negative", negative), ("positive", positive)) if n}
        samples = (b.excerpt(seconds),) if negative else ()
        self.fact(seconds, "feedback", ("billing", release, "prod"), sums, samples=samples)

    def day(self, day: int, share: float, each: int = 20) -> None:
        for n in range(each):
            bad = self.chance.random() < share
            self.answers(day * DAY + n * DAY / each, int(bad), int(not bad))


def test_most_of_a_dozen_negative_is_a_ticket() -> None:
    bench = Bench()
    for n in range(6):
        bench.answers(n * HOUR, negative=1, positive=1)
    found = bench.until(6 * HOUR)[-1]
    assert (found.severity, found.subject, found.releases) == ("medium", {"agent": "billing"}, ("7",))
    assert found.observed == "6 of 12 answers in a day are negative (50%)"
    assert found.expected == "at most 20%"
    assert len(found.evidence) == 5


def test_nine_answers_and_three_bad_ones_of_ten_are_nothing() -> None:
    few, mixed = Bench(), Bench()
    few.answers(0, negative=9, positive=0)
    mixed.answers(0, negative=3, positive=7)
    assert few.until(HOUR) == mixed.until(HOUR) == []


def test_people_who_only_answer_when_they_are_angry_are_measured_by_what_they_said_before() -> None:
    bench, found = Bench(), []
    for day in range(30):
        bench.day(day, 0.45, each=60)
        found.append(bench.until((day + 1) * DAY))
    assert found[0] != []  # nothing was known yet
    assert all(each == [] for each in found[8:])
    bench.day(30, 0.95, each=60)
    assert bench.until(31 * DAY) != []


def test_twice_as_bad_as_before_is_a_ticket_also_below_a_fifth() -> None:
    bench = Bench()
    for day in range(8):
        bench.day(day, 0.04, each=400)
        assert bench.until((day + 1) * DAY) == []
    bench.day(8, 0.19, each=400)
    (found, *_) = bench.until(9 * DAY)
    assert found.expected is not None
    assert found.expected.startswith("at most 1")


def test_it_is_over_with_the_day() -> None:
    bench = Bench()
    bench.answers(0, negative=20, positive=0)
    assert len(bench.until(HOUR)) == 1
    for n in range(2, 80):
        bench.answers(n * HOUR, negative=0, positive=1)
    assert [one for one in bench.until(80 * HOUR) if one.at > b.at(26 * HOUR)] == []
    assert len(msgspec.msgpack.encode(bench.state)) < 2000
