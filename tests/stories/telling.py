"""Agents at work, as raw events, and what a replay of them comes to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import builders as b
from replay.saying import Said

from streams import policy
from streams.records.timeline import encode
from streams.replay import run

OWNERS = '[[owners]]\nname = "everybody"\nagents = ["*"]\n'


def told(events: Iterable[Any], rules: str = "", until: float | None = None) -> Said:
    """Everything that a replay says; time goes on for a quarter of an hour after the last event, or to `until`."""
    ordered = sorted(events, key=lambda event: event.time)
    end = b.at(until) if until is not None else ordered[-1].time + b.timedelta(minutes=15)
    return Said(list(run(_lines(ordered), policy.parse(OWNERS + rules, "story"), end)))


def _lines(events: list[Any]) -> Iterable[bytes]:
    for event in events:
        event.position = None
        yield encode(event)


def troubles(said: Said) -> set[tuple[str, str, str]]:
    """Detector, worst severity and what it is about: all of it, so that what nobody expected is seen too."""
    return {(one.detector, one.severity, "/".join(one.subject.values())) for one in said.incident}


def session(at: float, name: str, agent: str = "billing", release: str = "7", **given: Any) -> list[Any]:
    """One session of ten seconds. `status` ends it; `evaluations` are evaluator -> passed, or a score."""
    who = {"session": f"{agent}/{name}", "agent": agent, "release": release}
    task = b.r.Task(kind=given.get("kind", "refund"))
    cost, tokens = b.money(given.get("cost", "0.01")), b.r.Tokens(given.get("tokens", 1000), 200)
    duration = given.get("duration", 10.0)
    events = [
        b.session_started(at, attribution=b.attribution(team="everybody"), task=task, model="gpt-5", **who),
        b.llm_called(at + 1, cost=cost, tokens=tokens, **who),
        *(b.tool_called(at + 2, tool=tool, args_hash=f"b2:{name}", **who) for tool in given.get("tools", ("search",))),
        b.session_ended(at + duration, status=given.get("status", b.r.SessionStatus.succeeded), **who),
    ]
    for evaluator, score in given.get("evaluations", {}).items():
        events.append(evaluation(at + duration, evaluator, score, **who))
    return events


def evaluation(at: float, evaluator: str, score: bool | float | None, **given: Any) -> Any:
    """True or False as it passed; a number is a score; None: the evaluator itself failed."""
    if score is None:
        return b.eval_scored(at, evaluator=evaluator, status=b.r.Status.error, passed=None, **given)
    if isinstance(score, bool):
        return b.eval_scored(at, evaluator=evaluator, passed=score, **given)
    return b.eval_scored(at, evaluator=evaluator, passed=None, score=score, **given)
