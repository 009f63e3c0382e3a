"""Nonsense from agents, over all detectors at once: memory stays small, nothing raises, nobody is called for nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from random import Random
from typing import Any

import builders as b
import msgspec
import pytest
from detect.delivered import digested, intact, speaking, told_and_seen
from detect.delivery import PARTITIONS, Line

from streams import policy
from streams import records as r
from streams.records.agent import Task
from streams.records.timeline import encode, partition_of

DAY = 86_400.0
RECORD_MAX = 1024 * 1024  # half of what a topic takes
OWNED = """
[[owners]]
name = "us"
agents = ["*"]
"""


@pytest.fixture(scope="module")
def rules() -> policy.Policy:
    return policy.parse(OWNED, "policy.toml")


def raw(at: float, **data: Any) -> Line:
    """A model call as JSON, whatever its values."""
    event = b.llm_called(at)
    event.position = None
    told = json.loads(encode(event))
    told["data"].update(data)
    return Line(b.at(at), "s1", json.dumps(told).encode(), b.at(at + 0.2))


def test_amounts_that_cannot_be_are_refused_and_counted(rules: policy.Policy) -> None:
    wrong = [
        {"cost": {"amount": "-5"}},
        {"cost": {"amount": -0.01}},
        {"cost": {"amount": "NaN"}},
        {"cost": {"amount": float("nan")}},
        {"cost": {"amount": float("inf")}},
        {"cost": {"amount": "1e30"}},
        {"tokens": {"input": -1, "output": 1}},
        {"tokens": {"input": 10**30, "output": 1}},
        {"duration_ms": -1},
        {"duration_ms": 2**70},
        {"attempt": 2**60},
        {"context_limit": 1.5},
    ]
    found = digested([raw(n, **data) for n, data in enumerate(wrong)], rules)
    assert sum(found.rejected.values()) == len(wrong)
    assert speaking(found) == {"intake.rejected"}


def test_amounts_that_are_absurd_are_told_as_such_and_added_to_nothing(rules: policy.Policy) -> None:
    dear = [b.llm_called(n, cost=b.money("1000000000"), tokens=r.Tokens(10**9, 10**9)) for n in range(300)]
    found = digested([*dear, *(b.llm_called(n + 0.5, agent="other", session="s2") for n in range(300))], rules)
    [incident] = found.incidents
    assert (incident.detector, incident.severity) == ("cost.session", "medium")
    assert incident.title.endswith("a call's price cannot be right")


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_an_hour_off_is_told_as_that_and_as_nothing_else(rules: policy.Policy, hours: int) -> None:
    events = list(working(0, "right"))
    for event in working(0, "wrong"):
        event.recordedtime = event.time + timedelta(seconds=0.2)
        event.time += timedelta(hours=hours)
        events.append(event)
    found = digested(events, rules)
    assert speaking(found) == {"telemetry.late"}
    assert [one.about.agent for one in found.incidents] == ["wrong"]


def working(start: float, agent: str) -> Iterator[Any]:
    for n in range(60):
        who = {"agent": agent, "session": f"{agent}-{n // 6}"}
        if n % 6 == 0:
            yield b.session_started(start + 30 * n, **who)
        yield b.llm_called(start + 30 * n + 5, **who)
        yield b.tool_called(start + 30 * n + 10, **who)
        if n % 6 == 5:
            yield b.eval_scored(start + 30 * n + 15, **who)
            yield b.session_ended(start + 30 * n + 20, **who)


def test_sessions_that_never_end_are_forgotten_after_a_day(rules: policy.Policy) -> None:
    events: list[Any] = []
    for n in range(60):
        who = {"agent": "endless", "session": f"endless-{n}"}
        events += [b.session_started(60 * n, **who), *(b.tool_called(60 * n + 100 * k, **who) for k in range(8))]
    found = digested([*events, b.session_ended(3 * DAY, agent="clock", session="clock")], rules)
    assert speaking(found) == {"session.stuck"}
    assert {one.about.agent for one in found.incidents} == {"endless"}
    assert [key for key in found.detect.kept[0] if key.startswith("endless")] == []


def test_a_hundred_thousand_tool_names_are_not_remembered(rules: policy.Policy) -> None:
    facts = [
        b.fact(n / 100, kind="tool", subject=("inventive", "7", "prod", f"tool-{n}", ""), sums={"calls": 1, "ms#90": 1})
        for n in range(100_000)
    ]
    found = told_and_seen(facts, rules)
    intact(found)
    assert found.incidents == []
    assert len(found.detect.kept[1]) < 50
    calls = [b.tool_called(n / 50, tool=f"tool-{n}", agent="inventive", **hashes(n)) for n in range(3000)]
    found = digested(calls, rules)
    assert speaking(found) == {"session.overrun"}
    assert found.detect.largest[0] < 24 * 1024


def hashes(n: int) -> dict[str, str]:
    return {"args_hash": f"b2:{n}", "result_hash": f"b2:{n}"}


def test_error_texts_of_16_kilobytes_are_cut_and_those_of_a_megabyte_are_refused(rules: policy.Policy) -> None:
    chance = Random(1)
    events = []
    for n in range(200):
        text = " ".join(f"w{chance.randrange(10**6)}" for _ in range(3000))[:16_384]
        events.append(b.tool_failed(2 * n, message=text, agent="verbose", session=f"v{n % 3}"))
    huge = b'{"type":"agent.tool.called.v1","data":{"ctx":{"agent":{"id":"huge"}},"x":"' + b"y" * 2**20 + b'"}}'
    found = digested([*events, *(Line(b.at(n), "s1", huge, b.at(n)) for n in range(3))], rules)
    assert dict(found.rejected) == {"too_large": 3}
    assert speaking(found) <= {"tool.repeated_error", "tool.dependency", "intake.rejected"}
    assert max(len(one.title) for one in found.incidents) < 1000


def test_an_evaluator_that_changes_its_scale_is_told_as_that(rules: policy.Policy) -> None:
    chance, events = Random(2), []
    for n in range(500):
        scale = 1.0 if n < 300 else 100.0
        events.append(b.eval_scored(400 * n, score=scale * chance.gauss(0.8, 0.05), session=f"e{n}"))
    found = digested(events, rules)
    assert {one.title for one in found.incidents} == {"billing: evaluator tone changed its scale"}


def test_absurd_scores_are_no_trouble(rules: policy.Policy) -> None:
    scores = (1e300, -1e300, 0.0, 5e-324, 1e6, -1e6)
    events = [b.eval_scored(60 * n, score=scores[n % 6], session=f"e{n}") for n in range(600)]
    assert speaking(digested(events, rules)) <= {"eval.drift"}


def test_ten_thousand_releases_of_one_agent(rules: policy.Policy) -> None:
    found = digested((b.eval_scored(n / 10, session=f"r{n}", release=f"release-{n}") for n in range(10_000)), rules)
    assert found.incidents == []
    assert len(found.detect.kept[1]) <= 2 * 10_000 + 50  # what it counts for gates, and its settings
    assert found.detect.largest[1] < 128 * 1024


def test_ten_thousand_agents_once_each(rules: policy.Policy) -> None:
    found = digested((b.llm_called(n / 10, session=f"a{n}", agent=f"agent-{n}") for n in range(10_000)), rules)
    assert found.incidents == []
    assert len(found.detect.kept[1]) <= 3 * 10_000 + 50
    assert found.detect.largest[1] < 128 * 1024


def long(n: int) -> str:
    return f"{n}-".ljust(64, "x")


FLOODS = {
    "errors": lambda n: b.tool_failed(n / 30, message=worded(n), session=long(n % 9), agent=long(n % 7)),
    "denials": lambda n: b.permission_checked(
        n / 10, result=r.PermissionResult.denied, action=long(n), session=long(n)
    ),
    "writers": lambda n: b.tool_called(
        n / 15, resources=[r.Resource("file:///same", "write")], session=long(n), agent=long(n % 600)
    ),
    "crashes": lambda n: b.session_started(n / 15, ctx=b.ctx(long(n // 3), "a", node=long(n))),
    "settings": lambda n: b.session_started(n / 15, session=long(n), prompt_hash=long(n), config_hash=long(n)),
    "cases": lambda n: b.eval_scored(n / 15, session=long(n), case_id=long(n), passed=n % 2 == 0, release=long(n)),
    "models": lambda n: b.llm_called(n / 15, model=long(n), status=r.Status.error, agent=long(n % 700)),
    "numbers": lambda n: b.heartbeat(n / 5, numbers={long(8 * n + k): 1e300 for k in range(8)}),
}


def worded(n: int) -> str:
    chance = Random(n)
    return "error " + " ".join(chance.choice("bdfgk") + chance.choice("aeiou") * 2 for _ in range(20))


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_of_different_names_is_not_remembered(rules: policy.Policy, flood: str) -> None:
    found = digested([FLOODS[flood](n) for n in range(600)], rules)
    assert found.detect.largest[0] < 64 * 1024


def test_thousands_of_sessions_that_end_at_once_fit_into_records(rules: policy.Policy) -> None:
    together = [n for n in range(15_000) if partition_of(f"j{n}", PARTITIONS) == partition_of(f"a{n}", PARTITIONS) == 0]
    events: list[Any] = []
    for n in together:
        who, kind = {"session": f"j{n}", "agent": f"a{n}"}, f"{n} ".ljust(1000, "k")
        at = n / 100_000
        events += [b.session_started(at, task=Task(kind=kind), **who), b.session_ended(at + 0.1, **who)]
    found = digested(events, rules)
    assert found.incidents == []
    assert max(len(one.value or b"") for one in found.detect.facts) <= RECORD_MAX
    exposed = [one.value or b"" for one in found.detect.said if one.to == "exposure"]
    assert sum(msgspec.json.decode(one, type=r.Exposure).sessions for one in exposed) == len(together) > 1000
