"""Prometheus series of releases: there from the first moment a release is known, and never more than a bound."""

import re
from pathlib import Path

import pytest
from delivery.gated import AGENT, ALLOWED, BLOCKED
from prometheus_client import CollectorRegistry, generate_latest

from streams.learn.releases.series import RELEASES_MAX, Series

REFERENCE = (Path(__file__).parents[2] / "docs/reference.md").read_text("utf-8")


class Clock:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def series(registry, clock):
    return Series(["promotion"], registry, clock=clock)


def where(release=ALLOWED, environment="prod", **more):
    return {"agent": AGENT, "release": release, "environment": environment, **more}


def stated(registry, release, **more):
    found = {}
    for state in ("allow", "warn", "hold", "block"):
        labels = where(release, gate="promotion", state=state, **more)
        found[state] = registry.get_sample_value("agent_gate_state", labels)
    return found


async def test_sessions_and_states_of_each_release(site, series, registry):
    await site.ran(50, BLOCKED, environment="staging", bad=7)
    await site.client.get("/v1/gates/promotion/decision", params={"agent": AGENT, "release": BLOCKED})
    await series.read(site.conn)
    assert registry.get_sample_value("agent_sessions_total", where()) == 400
    assert registry.get_sample_value("agent_sessions_total", where(BLOCKED, "staging")) == 50
    bad = registry.get_sample_value("agent_bad_sessions_total", where(BLOCKED, "staging", evaluator="any"))
    assert bad == 7
    assert stated(registry, BLOCKED) == {"allow": 0, "warn": 0, "hold": 0, "block": 1}


async def test_a_release_that_waits_for_its_first_session_has_zeros_and_not_nothing(site, series, registry):
    await site.conn.execute("INSERT INTO releases VALUES (%s, 'next', now(), now())", [AGENT])
    await series.read(site.conn)
    assert registry.get_sample_value("agent_sessions_total", where("next")) == 0
    assert registry.get_sample_value("agent_bad_sessions_total", where("next", evaluator="any")) == 0
    assert stated(registry, "next") == {"allow": 0, "warn": 0, "hold": 0, "block": 0}


async def test_names_that_strangers_ask_about_make_no_series(site, series, registry):
    for number in range(5):
        await site.client.get("/v1/gates/promotion/decision", params={"agent": AGENT, "release": f"x{number}"})
    await series.read(site.conn)
    assert b'release="x' not in generate_latest(registry)


async def test_an_agent_that_is_released_each_minute_keeps_a_bound_and_its_newest(site, series, registry):
    for number in range(3 * RELEASES_MAX):
        await site.conn.execute(
            "INSERT INTO releases VALUES (%s, %s, now() + make_interval(mins => %s))", ["busy", f"r{number}", number]
        )
    await series.read(site.conn)
    found = set(re.findall(r'agent_sessions_total\{agent="busy".*release="(\w+)"', generate_latest(registry).decode()))
    assert found == {f"r{number}" for number in range(2 * RELEASES_MAX, 3 * RELEASES_MAX)}


async def test_the_age_goes_on_when_nobody_reads(site, series, registry, clock):
    clock.now_s += 7
    assert registry.get_sample_value("agent_gate_decision_age_seconds") == 7
    await series.read(site.conn)
    assert registry.get_sample_value("agent_gate_decision_age_seconds") == 0
    clock.now_s += 3
    await series.read(site.conn)
    assert registry.get_sample_value("agent_gate_decision_age_seconds") == 3


async def test_names_from_agents_break_no_line(site, series, registry):
    await site.ran(1, 'a"b\n# HELP x', agent="x\\y")
    await series.read(site.conn)
    lines = generate_latest(registry).decode().splitlines()
    assert all(line.startswith(("#", "agent_")) for line in lines)
    assert len([line for line in lines if line.startswith("agent_sessions_total") and "HELP x" in line]) == 1


def test_every_series_is_documented(series, registry):
    names = re.findall(r"^# HELP (\w+)", generate_latest(registry).decode(), re.MULTILINE)
    assert len(names) == 4 and all(f"`{name}`" in REFERENCE for name in names)
