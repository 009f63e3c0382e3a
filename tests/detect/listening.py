"""One session detector listens to events as they arrive, woken by a clock as intake keeps it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import builders as b
from contract.running import LATENESS, Runner

from streams import records as r
from streams.detect.agents import AgentRules, Given

AHEAD = timedelta(minutes=5)  # of its arrival; such an event moves no clock


def heard(detector: Any, events: list[Any], until: float | None = None) -> list[r.Finding]:
    """What it says to events in this order, and until event time is `until` seconds after the epoch of the builders."""
    runner, newest = Runner(detector), b.at(-10_000_000)
    for event in events:
        if event.recordedtime is None or event.time - event.recordedtime <= AHEAD:
            newest = max(newest, event.time)
        runner.wake(newest - LATENESS)
        runner.take(event)
    if until is not None:
        runner.wake(b.at(until))
    return [saying for _, saying in runner.said]


def brief(said: list[r.Finding]) -> list[tuple[float, str]]:
    """When, in seconds, and how severe."""
    return [((one.at - b.at(0)).total_seconds(), one.severity) for one in said]


def below(session: str = "s2", agent: str = "refunds", root: str = "s1", **given: Any) -> r.Ctx:
    """The context of a subagent of s1."""
    parent = r.Parent(given.pop("parent", root))
    return b.ctx(session, agent, root_session_id=root, parent=parent, **given)


def ruled(**rule: Any) -> Given:
    return Given(agents=(AgentRules(match=["billing"], **rule),))


def recorded(event: Any, off_s: float) -> Any:
    """As intake stored it: Kafka got it a second after it happened, but its clock is `off_s` seconds off."""
    real: datetime = event.time
    event.recordedtime, event.time = real + timedelta(seconds=1), real + timedelta(seconds=off_s)
    return event
