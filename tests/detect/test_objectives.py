"""How fast an objective's budget is used up."""

from __future__ import annotations

import builders as b
import msgspec
from detect.scoped import Scoped

from streams.detect.agents import AgentRules, Given
from streams.detect.scope.objectives import ObjectiveBurn

HOUR, DAY = 3600, 86400


class Bench(Scoped):
    def __init__(self, objective: float | None = 0.99) -> None:
        rules = AgentRules(match=["bill*"], objective=objective)
        super().__init__(ObjectiveBurn(given=Given(agents=(rules,))))

    def sessions(self, seconds: float, good: int = 0, bad: int = 0, release: str = "7", agent: str = "billing") -> None:
        sums = {"ended": good + bad, "succeeded": good, "failed": bad}
        samples = (b.excerpt(seconds),) if bad else ()
        sums = {name: n for name, n in sums.items() if n}
        self.fact(seconds, "session", (agent, release, "prod", ""), sums, samples=samples)


def test_an_hour_that_burns_fifteen_times_too_fast_pages() -> None:
    bench = Bench()
    for minute in range(60):
        bench.sessions(minute * 60, good=5, bad=1)
    (found, *_) = bench.until(HOUR)
    assert (found.severity, found.subject) == ("high", {"agent": "billing"})
    assert found.at == b.at(4 * 60 + 10)
    assert found.observed == "5 of 30 sessions bad in 1 hour: 16.7 times what may be"
    assert found.releases == ("7",)
    assert found.evidence


def test_four_bad_sessions_do_not_page() -> None:
    bench = Bench()
    for minute in range(4):
        bench.sessions(minute * 60, good=1, bad=1)
    assert bench.until(HOUR) == []


def test_a_slow_burn_is_a_ticket() -> None:
    bench = Bench()
    for hour in range(72):
        bench.sessions(hour * HOUR, good=24, bad=1 if hour % 2 else 0)
        found = bench.until((hour + 1) * HOUR)
        assert {one.severity for one in found} <= {"medium"}
    assert found != []
    assert found[-1].expected == "less than 1 times, in 3 days and in 6 hours"


def test_what_the_objective_lets_be_bad_is_nothing() -> None:
    bench = Bench()
    for hour in range(72):
        bench.sessions(hour * HOUR, good=249, bad=1)
        assert bench.until((hour + 1) * HOUR) == []
    assert len(msgspec.msgpack.encode(bench.state)) < 2500


def test_it_ends_when_the_last_minutes_are_good() -> None:
    bench = Bench()
    for minute in range(20):
        bench.sessions(minute * 60, bad=1)
    assert bench.until(20 * 60) != []
    for minute in range(20, 120):
        bench.sessions(minute * 60, good=20)
    assert [one for one in bench.until(2 * HOUR) if one.severity == "high" and one.at > b.at(55 * 60)] == []


def test_an_agent_without_an_objective_is_not_judged() -> None:
    without, other = Bench(objective=None), Bench()
    without.sessions(0, bad=50)
    other.sessions(0, bad=50, agent="search")
    assert without.memories == other.memories == {}


def test_a_low_objective_never_burns_fast_and_still_becomes_a_ticket() -> None:
    bench = Bench(objective=0.7)
    for hour in range(72):
        bench.sessions(hour * HOUR, good=1, bad=9)
        found = bench.until((hour + 1) * HOUR)
        assert {one.severity for one in found} <= {"medium"}
    assert found != []
