"""A provider that fails for many is one incident on the provider."""

from __future__ import annotations

from typing import Any

import builders as b
from contract.running import run

from streams.detect.scope.providers import ProviderIncident
from streams.records import Fact, Finding


def calls(
    at_s: float, *, calls: int = 10, errors: int = 0, agents: tuple[str, ...] = ("billing",), model: str = "gpt-5"
) -> Fact:
    sums = {"calls": calls, "errors": errors} if errors else {"calls": calls}
    marks = agents if errors else ()
    return b.fact(at_s, kind="provider", subject=("openai", model), sums=sums, marks=marks, about=b.r.About())


def told(facts: list[Any]) -> list[Finding]:
    return [saying for _, saying in run(ProviderIncident(), facts).said]


def healthy(hours: float = 2, errors_each: int = 20) -> list[Fact]:
    """A call a second; one in two hundred fails, now for this agent, now for that."""
    return [
        calls(n * 10, errors=int(n % errors_each == 0), agents=(f"agent-{n % 9}",)) for n in range(int(hours * 360))
    ]


def test_a_healthy_provider_with_a_few_errors_for_many_agents_is_no_incident() -> None:
    assert told(healthy()) == []


def test_a_fifth_of_the_calls_failing_is_one_whoever_makes_them() -> None:
    found = told([*healthy(), *(calls(7200 + n * 10, errors=3) for n in range(30))])
    assert {one.subject["dependency"] for one in found} == {"openai"}
    assert "models gpt-5" in (found[0].observed or "")
    assert found[0].at <= b.at(7200 + 200)


def test_fewer_failing_is_one_when_several_agents_are_surprised() -> None:
    several = [calls(7200 + n * 10, errors=1, agents=(f"agent-{n % 4}",)) for n in range(30)]
    assert told([*healthy(), *several])
    alone = [calls(7200 + n * 10, errors=1, agents=("billing",)) for n in range(30)]
    assert told([*healthy(), *alone]) == []


def test_an_incident_is_one_finding_in_five_minutes_and_ends_when_calls_work_again() -> None:
    trouble = [calls(7200 + n * 10, errors=8) for n in range(60)]
    after = [calls(7800 + n * 10) for n in range(90)]
    found = told([*healthy(), *trouble, *after])
    assert 2 <= len(found) <= 5
    assert found[-1].at <= b.at(7800 + 400)


def test_a_few_calls_are_too_few() -> None:
    assert told([calls(0, calls=4, errors=4)]) == []


def test_it_works_without_history() -> None:
    assert told([calls(n * 10, errors=6) for n in range(6)])


def test_of_very_many_calls_a_swing_of_the_usual_errors_is_no_incident() -> None:
    many = [calls(n * 10, calls=50_000, errors=500, agents=(f"agent-{n % 9}",)) for n in range(720)]
    swing = [calls(7200 + n * 10, calls=50_000, errors=700, agents=(f"agent-{n % 9}",)) for n in range(60)]
    worse = [calls(7200 + n * 10, calls=50_000, errors=2000, agents=(f"agent-{n % 9}",)) for n in range(60)]
    assert [one for one in told(many + swing) if one.at > b.at(7200)] == []
    assert [one for one in told(many + worse) if one.at > b.at(7200)]
