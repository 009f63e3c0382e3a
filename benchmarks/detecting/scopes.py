"""Healthy agents through the detectors of quality, and troubled ones: false alarms and time to find, seeded."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from benchmarks.detecting.tables import table as lines
from streams.detect.agents import AgentRules, Given
from streams.detect.methods.sketch import index
from streams.detect.scope.behaviour import BehaviourDrift
from streams.detect.scope.cases import EvaluatorRegressions
from streams.detect.scope.evaluator_broken import EvaluatorBroken
from streams.detect.scope.evaluator_drift import EvaluatorDrift
from streams.detect.scope.evaluator_failures import EvaluatorFailures
from streams.detect.scope.feedback import NegativeFeedback
from streams.detect.scope.objectives import ObjectiveBurn
from streams.detect.scope.releases import VersionRegression
from streams.detect.session.evaluations import _scored
from streams.records import Fact, Finding, Tick

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
HOUR, DAY = 3600, 86400
EVALUATION, AGENT = ("a", "e", "7", "prod"), ("a", "7", "prod")

Facts = Iterator[tuple[float, str, tuple[str, ...], dict[str, int]]]


def measure(progress: Callable[[str], None]) -> dict[str, Any]:
    rows = []
    for number, scene in enumerate(SCENES, 1):
        progress(f"{number} of {len(SCENES)}: {scene.what}")
        runs = [_run(scene.detector(), scene.facts(random.Random(f"{scene.what}/{key}"))) for key in range(scene.keys)]
        share = sum(any(map(scene.counts, run)) for run in runs) / scene.keys
        rows.append((scene.detector().name, scene.what, scene.keys, share, scene.within))
    return {"rows": rows}


def table(result: dict[str, Any]) -> str:
    rows = [(name, what, keys, f"{share:.1%}", within) for name, what, keys, share, within in result["rows"]]
    return lines(("detector", "who", "how many", "found", "within"), rows)


def _run(detector: Any, facts: Facts) -> list[Finding]:
    """One detector over facts that come in order: memories by key, ticks when due."""
    memories: dict[str, Any] = {}
    wakes: dict[str, datetime] = {}
    found: list[Finding] = []
    for at_s, kind, subject, sums in facts:
        at = BEGIN + timedelta(seconds=int(at_s) // 10 * 10)
        for key in [key for key, wake in wakes.items() if wake <= at]:
            step = detector.step(memories[key], Tick(at))
            memories[key] = step.remember
            found += step.say
            del wakes[key]
            if step.wake:
                wakes[key] = step.wake
        fact = Fact(kind, subject, at, sums)
        key = detector.key(fact)
        if key is not None:
            step = detector.step(memories.get(key), fact)
            memories[key], wakes[key] = step.remember, step.wake
    return found


# -- who is judged ------------------------------------------------------------------------------------------------------


def _evaluations(chance: random.Random, rate: float, n: int, each: int = 10) -> Facts:
    for bucket in range(n // each):
        failed = sum([chance.random() < rate for _ in range(each)])
        sums = {name: count for name, count in (("passed", each - failed), ("failed", failed)) if count}
        yield bucket * 60 * each, "evaluation", EVALUATION, sums


def _scores(chance: random.Random, per_hour: float, days: int, shape: str) -> Facts:
    at = 0.0
    while at < days * DAY:
        at += chance.expovariate(per_hour / HOUR)
        score = {
            "normal": lambda: chance.gauss(0.8, 0.15),
            "binary": lambda: float(chance.random() < 0.85),
            "skewed": lambda: 1 - min(1, chance.expovariate(8)),
        }[shape]()
        yield at, "evaluation", EVALUATION, _scored(score, None)


def _slid(chance: random.Random) -> Facts:
    yield from _scores(chance, 20, 5, "normal")
    at = 5.0 * DAY
    while at < 5.5 * DAY:
        at += chance.expovariate(20 / HOUR)
        yield at, "evaluation", EVALUATION, _scored(chance.gauss(0.6, 0.15), None)


def _covered(chance: random.Random, days: int, share: float, office: bool) -> Facts:
    for hour in range(days * 24):
        busy = not office or (9 <= hour % 24 < 18 and hour // 24 % 7 < 5)
        ended = _poisson(chance, 6 if busy else 0.3)
        if not ended:
            continue
        yield hour * HOUR, "session", (*AGENT, ""), {"ended": ended}
        looked = sum([chance.random() < share for _ in range(ended)])
        if looked:
            yield hour * HOUR + 10, "evaluation", EVALUATION, {"passed": looked}


def _stopped(chance: random.Random, share: float) -> Facts:
    for at_s, *fact in _covered(chance, 10, share, office=False):
        if fact[0] == "session" or at_s < 8 * DAY:
            yield at_s, *fact  # type: ignore[misc]


def _complaining(chance: random.Random) -> Facts:
    yield from _answers(chance, 0.1, 8)
    yield from ((at_s + 8 * DAY, *fact) for at_s, *fact in _answers(chance, 0.35, 3))  # type: ignore[misc]


def _answers(chance: random.Random, negative: float, days: int) -> Facts:
    at = 0.0
    while at < days * DAY:
        at += chance.expovariate(20 / DAY)
        yield at, "feedback", AGENT, {"negative" if chance.random() < negative else "positive": 1}


def _ended(chance: random.Random, bad: float, per_hour: float, days: int) -> Facts:
    at = 0.0
    while at < days * DAY:
        at += chance.expovariate(per_hour / HOUR)
        yield at, "session", (*AGENT, ""), {"ended": 1, "failed" if chance.random() < bad else "succeeded": 1}


def _released(chance: random.Random, worse: tuple[float, float]) -> Facts:
    """A thousand sessions of a release, a thousand of the next: its failures and its cost are so many times as much."""
    for n in range(2000):
        new = n >= 1000
        bad, cost = 0.05 * (worse[0] if new else 1), 0.1 * (worse[1] if new else 1)
        sums = {"ended": 1, "failed" if chance.random() < bad else "succeeded": 1}
        sums[f"cost#{index(cost * chance.lognormvariate(0, 1))}"] = 1
        sums[f"ms#{index(9000 * chance.lognormvariate(0, 1))}"] = 1
        yield n * 60, "session", ("a", "8" if new else "7", "prod", ""), sums


def _habits(chance: random.Random, tools: int) -> Facts:
    weights = [1 / (n + 1) for n in range(tools)]
    for n in range(55 * 100):
        at = n * 60
        for tool in chance.choices(range(tools), weights, k=_poisson(chance, 5)):
            yield at, "tool", (*AGENT, f"t{tool}", ""), {"calls": 1}
        tokens = index(3000 * chance.lognormvariate(0, 1))
        yield at, "session", (*AGENT, ""), {"ended": 1, f"tokens#{tokens}": 1}


def _suite(chance: random.Random, rate: float, runs: int, falling: int = 0) -> Facts:
    """A hundred cases, run after run, a new release every twenty; with the last one so many fall."""
    for run in range(runs):
        release = f"r{run // 20}"
        for case in range(100):
            failed = chance.random() < rate or (case < falling and run >= runs - 5)
            yield run * HOUR, "case", ("a", "suite", release, "prod"), {f"{'-' if failed else '+'}c{case}": 1}


def _poisson(chance: random.Random, mean: float) -> int:
    limit, n, product = math.exp(-mean), 0, chance.random()
    while product > limit:
        n, product = n + 1, product * chance.random()
    return n


def _objective() -> Any:
    return ObjectiveBurn(given=Given(agents=(AgentRules(match=["*"], objective=0.99),)))


def _any(found: Finding) -> bool:  # noqa: ARG001 - whatever it is
    return True


def _page(found: Finding) -> bool:
    return found.severity == "high"


def _late(found: Finding) -> bool:
    return found.at > BEGIN + timedelta(days=8)


class Scene(NamedTuple):
    detector: Callable[[], Any]
    what: str
    keys: int
    facts: Callable[[random.Random], Facts]
    within: str
    counts: Callable[[Finding], bool] = _any


def _healthy(rate: float) -> Scene:
    facts = lambda chance: _evaluations(chance, rate, 43_200)  # noqa: E731
    return Scene(EvaluatorFailures, f"healthy at {rate:.0%}: pages", 60, facts, "43,200 evaluations", _page)


def _steady(shape: str, per_hour: float, keys: int) -> Scene:
    facts = lambda chance: _scores(chance, per_hour, 60, shape)  # noqa: E731
    return Scene(EvaluatorDrift, f"healthy {shape} scores, {per_hour:g} an hour", keys, facts, "60 days")


def _looked_at(what: str, share: float, *, office: bool, stops: bool = False) -> Scene:
    if stops:
        return Scene(EvaluatorBroken, what, 40, lambda chance: _stopped(chance, share), "2 days")
    return Scene(EvaluatorBroken, f"healthy, {what}", 40, lambda chance: _covered(chance, 60, share, office), "60 days")


def _next(what: str, keys: int, worse: tuple[float, float]) -> Scene:
    return Scene(
        VersionRegression, f"a release {what}", keys, lambda chance: _released(chance, worse), "1,000 sessions"
    )


def _usual(tools: int) -> Scene:
    return Scene(BehaviourDrift, f"healthy, {tools} tools", 20, lambda chance: _habits(chance, tools), "100 windows")


def _cases(detector: Any, what: str, runs: int, given: tuple[float, int]) -> Scene:
    facts = lambda chance: _suite(chance, given[0], runs, given[1])  # noqa: E731
    return Scene(detector, f"a suite of 100 cases, {what}", 10, facts, f"{runs} runs")


SCENES = (
    *(_healthy(rate) for rate in (0.01, 0.05, 0.1)),
    *(_steady(shape, *each) for shape in ("normal", "binary", "skewed") for each in ((2, 60), (20, 20))),
    _cases(EvaluatorRegressions, "1 % fail by chance", 200, (0.01, 0)),
    _cases(EvaluatorRegressions, "5 % fail by chance", 200, (0.05, 0)),
    _cases(EvaluatorRegressions, "five of them fall with the last release", 85, (0.001, 5)),
    Scene(EvaluatorDrift, "a mean that fell from 0.8 to 0.6", 50, _slid, "12 hours"),
    _looked_at("all day", 0.5, office=False),
    _looked_at("office hours", 0.3, office=True),
    _looked_at("one session in ten", 0.1, office=False),
    Scene(
        NegativeFeedback, "healthy at 10 %, 20 answers a day", 100, lambda chance: _answers(chance, 0.1, 60), "60 days"
    ),
    Scene(
        NegativeFeedback,
        "healthy at 30 %, 20 answers a day, the first week left out",
        100,
        lambda chance: _answers(chance, 0.3, 60),
        "60 days",
        _late,
    ),
    Scene(NegativeFeedback, "20 answers a day, from 10 to 35 %", 50, _complaining, "3 days", _late),
    _looked_at("then the evaluator stops", 0.5, office=False, stops=True),
    Scene(
        _objective,
        "at half of its due, 20 sessions an hour",
        40,
        lambda chance: _ended(chance, 0.005, 20, 30),
        "30 days",
    ),
    _next("like the one before", 300, (1, 1)),
    _next("that fails twice as often", 50, (2, 1)),
    _next("that costs half more", 50, (1, 1.5)),
    *(_usual(tools) for tools in (5, 60)),
)
