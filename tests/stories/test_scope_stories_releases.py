"""What sessions say about releases: raw events in, exactly these troubles out."""

from __future__ import annotations

import random
from typing import Any

from stories.telling import session, told, troubles


def sessions(n: int, release: str, begin: int, chance: random.Random, **given: Any) -> list[Any]:
    """One every two minutes. `dear` and `slow` multiply what is usual."""
    found: list[Any] = []
    for number in range(begin, begin + n):
        cost = 0.02 * chance.lognormvariate(0, 0.5) * given.get("dear", 1)
        duration = 20 * chance.lognormvariate(0, 0.3) * given.get("slow", 1)
        more = {"cost": f"{cost:.4f}", "duration": duration, "tokens": int(100_000 * cost)}
        found += session(120 * number, f"s{number}", release=release, **more)
    return found


def test_a_release_that_costs_three_times_as_much_is_held_before_it_is_promoted() -> None:
    chance = random.Random(1)
    events = sessions(120, "7", 0, chance) + sessions(60, "8", 120, chance, dear=3)
    said = told(events)
    assert ("version.regression", "high", "billing/cost") in troubles(said)
    assert troubles(said) <= {("version.regression", "high", "billing/cost"), ("behaviour.drift", "low", "billing")}
    last = {one.release: one.state for one in said.decision}
    assert last["8"] == "block"
    assert last["7"] != "block"


def test_a_release_that_is_no_different_is_nothing() -> None:
    chance = random.Random(2)
    assert troubles(told(sessions(120, "7", 0, chance) + sessions(120, "8", 120, chance))) == set()


def test_an_agent_that_takes_to_another_tool_is_noted() -> None:
    events: list[Any] = []
    for n in range(400):
        tools = ("search", "read", "refund") if n < 220 else ("shell", "shell", "read")
        events += session(60 * n, f"s{n}", tools=tools)
    assert troubles(told(events)) == {("behaviour.drift", "low", "billing")}
