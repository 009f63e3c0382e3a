"""Where cost cannot be seen: models without a price, agents that no longer say what a call took."""

from __future__ import annotations

from typing import Any

import builders as b
import msgspec
from detect.scoped import Scoped

from streams.detect.detector import Chosen
from streams.detect.scope.cost_telemetry import MODELS_MAX, TelemetryMissing, Thresholds, Unpriced
from streams.records import Finding

DAY = 86_400
WHO = ("billing", "7", "prod", "openai")


class Prices(Scoped):
    def __init__(self, **given: Any) -> None:
        super().__init__(Unpriced(**given))

    def calls(self, seconds: float, priced: int = 0, unpriced: int = 0, model: str = "gpt-5") -> list[Finding]:
        sums = {name: n for name, n in (("priced", priced), ("unpriced", unpriced)) if n}
        self.fact(seconds, "model", (*WHO, model), {"calls": priced + unpriced, **sums})
        return self.until(seconds + 60)


def test_a_model_without_a_price_is_a_ticket_about_the_model_at_its_first_call() -> None:
    (found,) = Prices().calls(0, unpriced=1)
    assert (found.subject, found.severity, found.title) == ({"model": "gpt-5"}, "low", "gpt-5 has no price")
    assert found.observed == "1 calls of billing with tokens and without a cost"


def test_it_is_said_once_a_day_as_long_as_it_lasts() -> None:
    bench = Prices()
    found = [one for hour in range(72) for one in bench.calls(hour * 3600, unpriced=5)]
    assert [one.at for one in found] == [b.at(day * DAY + 60) for day in range(3)]


def test_a_priced_model_may_have_a_call_without_a_cost() -> None:
    bench = Prices()
    assert [one for n in range(200) for one in bench.calls(n * 60, priced=9, unpriced=1)] == []


def test_a_model_that_loses_its_price_is_told_before_long() -> None:
    bench = Prices()
    for n in range(500):
        bench.calls(n * 60, priced=1)
    found = [one for n in range(110) for one in bench.calls(40_000 + n * 60, unpriced=1)]
    assert [one.title for one in found] == ["gpt-5: calls no longer have a cost"]


def test_many_models_and_few_that_are_remembered() -> None:
    bench = Prices()
    for n in range(3000):
        bench.calls(n / 10, unpriced=1, model=f"m{n}")
    assert len(bench.state.known) == MODELS_MAX
    assert len(msgspec.msgpack.encode(bench.state)) < 4000


def test_calls_without_tokens_are_not_asked_for_a_price() -> None:
    assert Unpriced().key(b.fact(kind="model", subject=(*WHO, "gpt-5"), sums={"calls": 3, "bare": 3})) is None


class Telemetry(Scoped):
    def __init__(self, **given: Any) -> None:
        super().__init__(TelemetryMissing(**given))

    def calls(self, seconds: float, count: int, said: int, errors: int = 0) -> list[Finding]:
        sums = {"calls": count, **({"priced": said} if said else {}), **({"errors": errors} if errors else {})}
        self.fact(seconds, "model", (*WHO, "gpt-5"), sums)
        return self.until(seconds + 60)

    def usual(self, minutes: int = 60) -> None:
        for n in range(minutes):
            assert self.calls(n * 60, 2, 2) == []


def test_calls_that_no_longer_name_tokens_or_a_cost_are_told_after_twenty_and_while_it_lasts() -> None:
    bench = Telemetry()
    bench.usual()
    found = [one for n in range(30) for one in bench.calls(4000 + n * 60, 2, 0)]
    assert b.at(4000 + 9 * 60) <= found[0].at <= b.at(4000 + 10 * 60)
    assert (found[0].severity, found[0].subject) == ("medium", {"agent": "billing"})
    assert (found[0].observed, found[0].expected) == (
        "of the last 20 calls hardly one",
        "100% of the calls before had one of them",
    )
    assert len(found) > 2
    assert bench.calls(6000, 30, 30) == []
    assert bench.calls(6600, 3, 0) == []


def test_the_minute_in_which_it_begins_does_not_hide_it() -> None:
    bench = Telemetry()
    bench.usual()
    bench.calls(4000, 90, 20)
    assert len([one for n in range(2, 30) for one in bench.calls(4000 + n * 60, 30, 0)]) > 2


def test_an_agent_that_never_named_them_and_one_that_names_some_are_no_news() -> None:
    never, some = Telemetry(), Telemetry()
    some.usual()
    for n in range(100):
        assert never.calls(n * 60, 5, 0) == []
        assert some.calls(4000 + n * 60, 10, 3) == []


def test_failed_calls_are_not_counted() -> None:
    bench = Telemetry()
    bench.usual()
    assert [one for n in range(30) for one in bench.calls(4000 + n * 60, 20, 0, errors=20)] == []


def test_a_cost_without_tokens_is_enough() -> None:
    bench = Telemetry()
    bench.usual()
    for n in range(50):
        bench.fact(4000 + n * 60, "model", (*WHO, "gpt-5"), {"calls": 5, "bare": 5})
    assert bench.until(8000) == []


def test_after_a_thousand_calls_that_is_how_it_is() -> None:
    bench = Telemetry()
    bench.usual()
    found = [one for n in range(300) for one in bench.calls(4000 + n * 60, 5, 0)]
    assert found[-1].at < b.at(4000 + 205 * 60)


def test_an_agent_may_have_numbers_of_its_own() -> None:
    bench = Telemetry(overrides=(("bill*", Chosen(Thresholds(before_calls=1000), "medium", False)),))
    bench.usual()
    assert [one for n in range(30) for one in bench.calls(4000 + n * 60, 2, 0)] == []
