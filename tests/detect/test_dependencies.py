"""The same error across sessions and agents is one trouble of what they depend on."""

from __future__ import annotations

from typing import Any

import builders as b
from contract.running import run
from detect.scoped import Scoped

from streams.detect.scope.dependencies import ERRORS_MAX, DependencyErrors, Thresholds
from streams.records import Fact, Finding


def error(at_s: float, session: str, *, agent: str = "billing", words: str = "refused", count: int = 1) -> Fact:
    name = f"search\x1fHTTPError\x1f{words}"
    marks = (f"{name}\x1e{agent}\x1f{session}",)
    samples = (b.excerpt(at_s, text=words),)
    return b.fact(
        at_s,
        kind="tool_error",
        subject=("shop-mcp",),
        sums={name: count},
        marks=marks,
        samples=samples,
        about=b.r.About(),
    )


def told(facts: list[Any], thresholds: Thresholds | None = None) -> list[Finding]:
    return [saying for _, saying in run(DependencyErrors(thresholds), facts).said]


def burst(start_s: float, *, sessions: int = 5, errors: int = 12, **more: Any) -> list[Fact]:
    return [error(start_s + n * 5, f"s{n % sessions}", agent=f"agent-{n % 2}", **more) for n in range(errors)]


def test_many_errors_of_many_sessions_are_one_trouble_of_the_dependency() -> None:
    (found,) = told(burst(0))
    assert found.subject == {"dependency": "shop-mcp"}
    assert found.dependency == "shop-mcp"
    assert found.title == "shop-mcp: search fails for 2 agents: refused"
    assert found.count == 10
    assert "5 sessions of agent-0, agent-1" in (found.observed or "") or "sessions of agent-0, agent-1" in (
        found.observed or ""
    )
    assert found.about.agent == ""


def test_one_session_alone_is_that_sessions_trouble() -> None:
    assert told(burst(0, sessions=1, errors=40)) == []


def test_few_errors_are_not_told() -> None:
    assert told(burst(0, errors=9)) == []


def test_messages_that_differ_in_a_name_are_one_error() -> None:
    facts = [
        error(n * 5, f"s{n % 4}", words=f"no route to host {name}")
        for n, name in enumerate(("alpha", "beta", "gamma") * 4)
    ]
    (found,) = told(facts)
    assert "no route to host" in found.title


def test_an_error_at_its_usual_rate_is_told_once_and_known_within_a_day() -> None:
    steady = [error(n * 20, f"s{n % 7}") for n in range(36 * 180)]  # 36 hours, three a minute
    found = told(steady)
    assert found
    assert found[-1].at < b.at(25 * 3600)


def test_a_burst_beyond_a_known_rate_is_news() -> None:
    seldom = [error(n * 300, f"s{n % 7}") for n in range(288)]  # a day, one in five minutes
    assert told(seldom) == []
    assert len(told([*seldom, *burst(86_400, errors=12)])) == 1


def test_it_holds_while_some_agents_are_still_not_well() -> None:
    facts = burst(0, errors=40)
    rest = [error(300 + n * 60, "s1", agent="agent-1") for n in range(15)]
    found = told([*facts, *rest])
    assert found[-1].at > b.at(900)
    assert len({one.fingerprint for one in found}) == 1


def test_it_ends_when_errors_become_rare() -> None:
    found = told([*burst(0, errors=40), *(error(900 + n * 200, "s1") for n in range(10))])
    assert all(one.at < b.at(900) for one in found)


def test_a_thousand_different_errors_are_forgotten_in_time() -> None:
    facts = [error(n, f"s{n}", words=f"broken {'ab' * (n % 30)} {chr(97 + n % 26)}{n // 26}") for n in range(1000)]
    runner = run(DependencyErrors(), facts)
    (held,) = runner.memories.values()
    assert len(held.state.known) <= ERRORS_MAX


def test_agents_that_work_by_day_are_judged_by_their_days() -> None:
    days = [day for day in range(9) if day % 7 < 5]
    office = [error(day * 86_400 + n * 20, f"s{n % 7}") for day in days for n in range(8 * 180)]
    assert {int(one.at.timestamp() - b.at(0).timestamp()) // 86_400 for one in told(office)} <= {0, 1}
    monday = 11 * 86_400
    troubled = [error(monday + n * 4, f"s{n % 7}") for n in range(200)]
    assert told([*office, *troubled])[-1].at > b.at(monday)


def test_where_errors_are_many_a_swing_of_the_traffic_is_no_trouble() -> None:
    steady = [error(n * 60, f"s{n % 7}", count=1000) for n in range(2880)]
    end = 2 * 86_400
    busier = [error(end + n * 60, f"s{n % 7}", count=1500) for n in range(60)]
    assert [one for one in told(steady + busier) if one.at > b.at(end)] == []
    worse = [error(end + n * 60, f"s{n % 7}", count=3000) for n in range(60)]
    assert [one for one in told(steady + worse) if one.at > b.at(end)]


def test_a_burst_that_is_over_does_not_make_three_errors_trouble_days_later() -> None:
    later = [error(3 * 86_400 + n * 2, "s1") for n in range(3)]
    assert all(one.at < b.at(86_400) for one in told([*burst(0, errors=40), *later]))


def test_old_events_that_are_brought_in_at_once_are_not_the_presents_trouble() -> None:
    scoped, name = Scoped(DependencyErrors()), "search\x1fHTTPError\x1frefused"
    scoped.fact(90_000, "tool_error", ("shop-mcp",), {name: 1}, marks=(f"{name}\x1ebilling\x1fs0",))
    scoped.until(90_100)
    for n in range(20):
        scoped.fact(n * 3600, "tool_error", ("shop-mcp",), {name: 1}, marks=(f"{name}\x1ebilling\x1fs{n}",))
    assert scoped.until(100_000) == []
