"""Figures for Prometheus: right sums, few labels, each fact once."""

from __future__ import annotations

from typing import Any

import builders as b
import pytest
from detect.test_stages import of_events
from detect.truth import PARTITIONS, Pair
from prometheus_client import CollectorRegistry

from streams.detect.catalogue import scope_deciders
from streams.detect.engine.series import AGENTS_MAX, EARNED_AT, NAMES_MAX, AgentSeries
from streams.detect.fold import SCOPE_IDLE_S, Fold
from streams.detect.methods.sketch import index
from streams.detect.ports import Measured
from streams.detect.scope.series import Series
from streams.policy import load
from streams.records import Facts

WHO = {"agent": "billing", "release": "7", "environment": "prod"}


def series() -> tuple[AgentSeries, CollectorRegistry]:
    registry = CollectorRegistry()
    return AgentSeries(registry), registry


def tool(name: str, calls: int, **more: int) -> Measured:
    return Measured("tool", ("billing", "7", "prod", name, ""), {"calls": calls, **more})


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    return registry.get_sample_value(name, {**WHO, **labels}) or 0.0


def test_calls_are_counted_by_how_they_ended() -> None:
    found, registry = series()
    found.take([tool("search", 30, error=4, timeout=1), tool("search", 2)])
    statuses = {
        what: value(registry, "tocsin_agent_tool_runs_total", tool="search", status=what)
        for what in ("ok", "error", "timeout")
    }
    assert statuses == {"ok": 27, "error": 4, "timeout": 1}
    assert value(registry, "tocsin_agent_runs_total", kind="tool") == 32


def test_a_hundred_thousand_made_up_names_are_one_series_and_a_real_one_keeps_its_own() -> None:
    found, registry = series()
    for n in range(100_000):
        found.take([tool(f"made-up-{n}", 1)])
    found.take([tool("search", EARNED_AT)])
    labels = {
        sample.labels["tool"] for metric in registry.collect() for sample in metric.samples if "tool" in sample.labels
    }
    assert labels == {"other", "search"}


def test_only_so_many_names_and_agents_have_series() -> None:
    found, registry = series()
    found.take([tool(f"tool-{n}", 100) for n in range(3 * NAMES_MAX)])
    found.take([Measured("session", (f"agent-{n}", "", "prod", ""), {"started": 1}) for n in range(2 * AGENTS_MAX)])
    samples = [sample for metric in registry.collect() for sample in metric.samples]
    assert len({sample.labels["tool"] for sample in samples if "tool" in sample.labels}) == NAMES_MAX + 1
    assert len({sample.labels["agent"] for sample in samples}) == AGENTS_MAX + 1


def test_latency_tokens_cost_and_feedback() -> None:
    found, registry = series()
    model = {"calls": 20, "errors": 1, "input": 900, "output": 30, "nano": 2 * 10**9, f"ms#{index(400)}": 20}
    found.take([Measured("model", ("billing", "7", "prod", "openai", "gpt-5"), model)])
    found.take([Measured("feedback", ("billing", "7", "prod"), {"positive": 2, "negative": 1})])
    found.take([Measured("evaluation", ("billing", "tone", "7", "prod"), {"passed": 30, "failed": 2})])
    assert value(registry, "tocsin_agent_cost_total", model="gpt-5") == 2.0
    assert value(registry, "tocsin_agent_tokens_total", model="gpt-5", kind="input") == 900
    assert value(registry, "tocsin_agent_model_seconds_count") == 20
    assert value(registry, "tocsin_agent_model_seconds_sum") == pytest.approx(8.0, rel=0.03)
    assert value(registry, "tocsin_agent_feedback_total", feedback="negative") == 1
    assert value(registry, "tocsin_agent_evaluations_total", evaluator="tone", result="failed") == 2


def test_no_label_is_a_session_a_user_or_a_fingerprint() -> None:
    _, registry = series()
    labels = {name for metric in (*registry._names_to_collectors.values(),) for name in metric._labelnames}
    assert labels <= {
        "agent",
        "release",
        "environment",
        "status",
        "kind",
        "model",
        "tool",
        "evaluator",
        "result",
        "feedback",
    }


def test_a_fact_that_comes_twice_is_counted_once() -> None:
    store: dict[str, bytes] = {}
    fold = Fold((Series(),), store.get, idle_s=SCOPE_IDLE_S)
    fact = b.fact(0, kind="tool", subject=("billing", "7", "prod", "search", ""), sums={"calls": 3}, about=b.about())
    said: list[Any] = []
    for _ in range(2):
        said += fold.facts(Facts(b.position(5), (fact,)), 0)
        said += fold.tick(0, b.at(10).timestamp())  # the end of the bucket
    assert [one.sums for one in said] == [{"calls": 3}]


def test_the_worker_of_a_story_measures_what_its_sessions_did() -> None:
    pair = Pair()
    pair.scopes.fold = Fold((*scope_deciders(load().detectors), Series()), pair.scopes_kept.get, idle_s=SCOPE_IDLE_S)
    pair.feed([of_events(*(b.tool_called(n, position=b.position(n)) for n in range(25)))])
    at_s = b.at(60).timestamp()
    said = [one for partition in range(PARTITIONS) for one in pair.scopes.fold.tick(partition, at_s)]
    registry = CollectorRegistry()
    AgentSeries(registry).take(one for one in said if isinstance(one, Measured))
    named, earlier = (
        value(registry, "tocsin_agent_tool_runs_total", tool=name, status="ok") for name in ("search", "other")
    )
    assert (named, earlier) == (15, 10)  # ten calls of the first bucket had not earned the name


def test_made_up_environments_are_one_series() -> None:
    found, registry = series()
    for n in range(3 * AGENTS_MAX):
        found.take([Measured("session", ("billing", "7", f"env-{n}", ""), {"started": 1})])
    seen = {sample.labels["environment"] for metric in registry.collect() for sample in metric.samples}
    assert len(seen) == AGENTS_MAX + 1
    assert "other" in seen
