"""Runs one decider over records as any loop would: dispatch by type, memory by key, woken when due."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from random import Random
from typing import Any

import builders as b
from contract import conduct
from contract.facts import PACE, USUAL_S, fact

from streams import records as r
from streams.learn.cases.making import agent_of, case_id
from streams.learn.power.crediting import Agreed, Credit

LATENESS = timedelta(seconds=30)


class Runner:
    def __init__(self, decider: Any) -> None:
        self.decider = decider
        self.memories: dict[str, Any] = {}
        self.due: dict[str, datetime] = {}
        self.said: list[tuple[str, Any]] = []

    def take(self, record: Any) -> None:
        if type(record) in self.decider.reads:
            key = self.decider.key(record)
            if key is not None:
                self._step(key, record)

    def wake(self, until: datetime) -> None:
        while self.due and min(self.due.values()) <= until:
            key = min(self.due, key=lambda one: (self.due[one], one))
            self._step(key, r.Tick(self.due.pop(key)))

    def _step(self, key: str, record: Any) -> None:
        step = self.decider.step(self.memories.get(key), record)
        self.memories[key] = step.remember
        self.due.pop(key, None)
        if step.wake is not None:
            self.due[key] = step.wake
        self.said += [(key, saying) for saying in step.say]


def run(decider: Any, records: Iterable[Any]) -> Runner:
    """All records as they come, the clock a lateness behind the newest, and in the end past all of them."""
    runner, newest = Runner(decider), b.at(0)
    for record in records:
        newest = max(newest, moment(record))
        runner.wake(newest - LATENESS)
        runner.take(record)
    runner.wake(newest + timedelta(hours=1))
    return runner


def moment(record: Any) -> datetime:
    if isinstance(record, r.Cleared):
        return record.due.at
    return getattr(record, "at", None) or b.at(0)


# -- records to be read -----------------------------------------------------------------------------------------------


def _tool(chance: Random, at: float, who: dict[str, Any]) -> Any:
    tool = chance.choice(("search", "refund"))
    if chance.random() < 0.5:
        return b.tool_failed(at, tool=tool, message=f"refused {chance.randrange(3)}", **conduct.of_call(at), **who)
    same = {"args_hash": f"b2:{tool}", "result_hash": "b2:same"}
    return b.tool_called(at, tool=tool, cost=b.money("0.5"), **same, **conduct.of_call(at), **who)


def _evaluation(chance: Random, at: float, who: dict[str, Any]) -> Any:
    status = chance.choice((r.Status.ok, r.Status.ok, r.Status.error))
    passed = None if status is r.Status.error else chance.random() < 0.5
    return b.eval_scored(at, evaluator=chance.choice(("tone", "safety")), status=status, passed=passed, **who)


def _started(chance: Random, at: float, who: dict[str, Any]) -> Any:
    """Some start another session, of which nothing more is heard, and some are handed down too deep."""
    session = chance.choice((who["session"], f"{who['session']}-open"))
    about = b.ctx(session, release=who["release"], depth=chance.choice((None, 1, 5)))
    return b.session_started(at, ctx=about, budget=r.Budget(tokens=50_000), **conduct.DECLARED)


def _beat(chance: Random, at: float, who: dict[str, Any]) -> Any:
    """Some are of a session that does nothing else, and says so seldom."""
    if chance.random() < 0.5:
        return b.heartbeat(at, **who)
    return b.heartbeat(at, **{**who, "session": f"{who['session']}-alive"}, interval_s=1200.0)


def _model(chance: Random, at: float, who: dict[str, Any]) -> Any:
    cost, attempt = b.money(chance.choice(("0.01", "1.5"))), chance.choice((None, None, 2))
    full = {"context_limit": 1050, "finish_reasons": ["length"]} if chance.random() < 0.1 else {}
    return b.llm_called(at, cost=cost, attempt=attempt, **full, **who)


def _decision(chance: Random, at: float, who: dict[str, Any]) -> Any:
    if chance.random() < 0.5:
        return b.decision_made(at, **who)
    giver, taker = chance.choice((("billing", "refunds"), ("refunds", "billing")))
    return b.decision_made(at, kind="handoff", chosen=taker, agent=giver, **who)


def _permission(chance: Random, at: float, who: dict[str, Any]) -> Any:
    """Some are denied by a guardrail, some are never answered."""
    kind, named = chance.choice(("allowed", "allowed", "guardrail", "pending")), conduct.of_permission(at)
    if kind == "guardrail":
        return b.permission_checked(
            at, result=r.PermissionResult.denied, decided_by=r.Actor("guardrail"), **named, **who
        )
    if kind == "pending":
        session = {**who, "session": f"{who['session']}-open"}
        return b.permission_checked(at, result=r.PermissionResult.pending, **session)
    return b.permission_checked(at, **named, **who)


def _due(chance: Random, at: float, who: dict[str, Any]) -> r.Due:
    wants = (("page", "ticket"),) * 6 + (("settled", "outcome"), ("unsettled", "update"), ("update",))
    trouble = f"{who['session']}-{chance.randrange(12)}"
    severity = chance.choice(("high", "medium"))
    grouping, want = f"agent:{who['session']}", chance.choice(wants)
    return b.due(at, trouble=trouble, severity=severity, grouping=grouping, want=want)


def _name(chance: Random, who: dict[str, Any]) -> str:
    return f"v1:tool.repeated_error:{who['session']}#{chance.choice((1, 1, 2))}"


def _outcome(chance: Random, at: float, who: dict[str, Any]) -> r.Outcome:
    value = chance.choice(("fixed", "false_positive", "external_cause"))
    return b.outcome(_name(chance, who), value, at, reopened=chance.random() < 0.3)


def _sighted(chance: Random, at: float, who: dict[str, Any]) -> r.Sighted:
    return b.sighted(
        at, trouble=who["session"], session=f"{who['session']}-{chance.randrange(40)}", evidence=(b.excerpt(at),)
    )


def _incident(chance: Random, at: float, who: dict[str, Any]) -> r.Incident:
    stage, told = chance.choice(("open", "open", "resolved")), chance.choice(({}, {"ticket": 1}))
    return b.incident(at, trouble=who["session"], episode=chance.choice((1, 1, 2)), stage=stage, told=told)


def _cleared(chance: Random, at: float, who: dict[str, Any]) -> r.Cleared:
    held = chance.choice((None, None, "grouped:v1:x:y#1"))
    by = chance.choice(("power", "group", "silence", "owner"))
    if by == "power":
        return b.cleared(at, by=by, due=_due(chance, at, who))
    about = r.About(agent=who["session"], release=who["release"])
    told = b.incident(at, trouble=f"{chance.randrange(10_000)}", owner=who["session"], about=about)
    return b.cleared(at, by=by, held=held, due=b.due(at, incident=told, of=chance.choice((1, 1, 2))))


def _silence(chance: Random, at: float, who: dict[str, Any]) -> r.Silence:
    return b.silence(at, at + chance.randrange(120), id=f"q{chance.randrange(20)}", matchers={"owner": who["session"]})


def _receipt(chance: Random, at: float, who: dict[str, Any]) -> r.Receipt:
    return b.receipt(_name(chance, who), chance.choice(("page", "ticket")), at)


def _advanced(chance: Random, at: float, who: dict[str, Any]) -> r.Advanced:
    """Minutes come a little disordered; releases and prompts change now and then."""
    minute = b.at(at - chance.choice((0, 0, 60)))
    releases = {f"{number}": minute for number in range(int(at) // 100, int(at) // 100 + 2)}
    config = chance.choice(({}, {"prompt": f"p{int(at) // 300}"}))
    return r.Advanced(who["session"], minute, releases, config, seen=b.at(at))


def _watched(chance: Random, at: float, who: dict[str, Any]) -> r.Watched:
    until = chance.choice((None, b.at(at + chance.randrange(30, 600)), b.at(at + chance.randrange(30, 600))))
    return r.Watched(f"v1:x:{chance.randrange(10_000)}#1", who["session"], until)


def _assignment(chance: Random, at: float, who: dict[str, Any]) -> r.Assignment:
    return r.Assignment(_name(chance, who), chance.choice(("bob", "U123")), b.at(at), "ann", "web")


def _split(chance: Random, at: float, who: dict[str, Any]) -> r.Split:
    return r.Split(_name(chance, who), b.at(at), "ann", "web", "another trouble")


def _merge(chance: Random, at: float, who: dict[str, Any]) -> r.Merge:
    return r.Merge(_name(chance, who), f"v1:x:{chance.randrange(3)}#1", b.at(at), "ann", "web")


def _passed(chance: Random, at: float, who: dict[str, Any]) -> r.Passed:
    return r.Passed(_name(chance, who), b.at(at), b.at(at + 90))


def _speaks(chance: Random, at: float, who: dict[str, Any]) -> r.Speaks:
    return r.Speaks(_name(chance, who), f"v1:x:{chance.randrange(3)}#1", b.at(at), chance.random() < 0.4)


def _worsened(chance: Random, at: float, who: dict[str, Any]) -> r.Worsened:
    return r.Worsened(_name(chance, who), "search keeps failing", chance.choice(("critical", "medium")), b.at(at))


def _power_changed(chance: Random, at: float, who: dict[str, Any]) -> r.PowerChanged:
    """By number, as its evaluator said them."""
    after = r.POWERS[int(at) % 4]
    return r.PowerChanged(f"LLM:{who['session']}@1", int(at) + 1, chance.choice(r.POWERS), after, "numbers", b.at(at))


def _decided(chance: Random, at: float, who: dict[str, Any]) -> r.Decided:
    said = _outcome(chance, at, who)
    observed = f"{chance.randrange(3, 9)} errors of x in the last 20"
    return r.Decided(said, _about(said.incident, who, judges=("LLM:grounded@4",), observed=observed))


def _about(name: str, who: dict[str, Any], **given: Any) -> r.Incident:
    agent = f"agent-of-{who['session']}"
    whose = {"subject": {"agent": agent, "tool": "search"}, "about": r.About(agent=agent, release=who["release"])}
    return b.incident(0, id=name, fingerprint=name.partition("#")[0], **whose, **given)


def _credit(chance: Random, at: float, who: dict[str, Any]) -> Credit:
    correct, actionable = chance.choice(((1, 1), (-1, -1), (1, -1), (0, 0)))
    evaluator = f"LLM:{who['session']}@{chance.choice((1, 1, 2))}"
    return Credit(evaluator, f"x{chance.randrange(400)}#1", correct, actionable, b.at(at), b.at(at))


def _granted(chance: Random, at: float, who: dict[str, Any]) -> r.Granted:
    return r.Granted(f"LLM:{who['session']}@1", chance.choice(r.POWERS), "ann", "well known", b.at(at))


def _label(chance: Random, at: float, who: dict[str, Any]) -> r.Labelled:
    flagged, bad = chance.random() < 0.5, chance.random() < 0.5
    return r.Labelled(f"LLM:{who['session']}@1", f"s{chance.randrange(2000)}", flagged, bad, "ann", b.at(at))


def _deployed(chance: Random, at: float, who: dict[str, Any]) -> r.Deployed:
    """Many fail, of ever newer releases."""
    op, result = chance.choice(("promote", "promote", "rollback", "abort")), chance.choice(("ok", "error"))
    release = f"{who['release']}.{int(at) // 10}"
    return r.Deployed(f"agent-of-{who['session']}", release, "prod", op, result, b.at(at), f"/ci|{at}")


def _bypassed(_chance: Random, at: float, who: dict[str, Any]) -> r.Bypassed:
    where = {
        "agent": f"agent-of-{who['session']}",
        "release": f"{who['release']}.{int(at) // 10}",
        "environment": "prod",
    }
    return r.Bypassed(gate="promotion", **where, at=b.at(at), how="promoted", state="block")


def _override(chance: Random, at: float, who: dict[str, Any]) -> r.Override:
    """Of a few names, so that what follows meets one that was asked for."""
    where = {"agent": f"agent-of-{who['session']}", "release": who["release"], "environment": "prod"}
    known = {"gate": "promotion", **where, "reasons": (_name(chance, who),), "reason": "it was agreed with payments"}
    times = {"created_at": b.at(at), "expires_at": b.at(at + chance.randrange(5, 60))}
    return r.Override(id=f"o-{who['session']}-{chance.randrange(9)}", **known, **times, requested_by="ann")


def _ended(chance: Random, at: float, who: dict[str, Any]) -> r.OverrideEnded:
    return r.OverrideEnded(f"o-{who['session']}-{chance.randrange(9)}", b.at(at), chance.choice(("ann", "")), "worse")


def _freeze(chance: Random, at: float, who: dict[str, Any]) -> r.Freeze:
    edges = {"begins": b.at(at), "ends": b.at(at + 60), "at": b.at(at)}
    return r.Freeze(id=f"f-{who['session']}-{chance.randrange(9)}", reason="holidays", actor="ann", **edges)


def _scope(chance: Random, who: dict[str, Any]) -> r.Scope:
    agent = f"agent-of-{who['session']}"
    return chance.choice((r.Scope("agent", agent), r.Scope("release", agent, who["release"])))


def _control_asked(chance: Random, at: float, who: dict[str, Any]) -> r.ControlAsked:
    """By detectors and by people, some twice under one id."""
    want = chance.choice(("pause", "throttle", "close", "measure", "disable"))
    known = {"id": f"{who['session']}:{chance.randrange(400)}", "scope": _scope(chance, who), "at": b.at(at)}
    if want in ("measure", "disable") or chance.random() < 0.3:
        return r.ControlAsked(**known, want=want, actor="ann", until=b.at(at + 60))
    named = {"source": f"detector:{chance.choice(('cost.session', 'loop.stale'))}", "incident": _name(chance, who)}
    return r.ControlAsked(**known, want=want, automatic=True, affected=chance.choice((None, 0.1)), **named)


def _approval_asked(chance: Random, at: float, who: dict[str, Any]) -> r.ApprovalAsked:
    name = f"{who['session']}-{chance.randrange(9)}"
    return r.ApprovalAsked(id=name, action="refund", at=b.at(at), until=b.at(at + 30), agent=f"agent-of-{name}")


def _approval_answered(chance: Random, at: float, who: dict[str, Any]) -> r.ApprovalAnswered:
    answer = chance.choice(("approved", "refused"))
    return r.ApprovalAnswered(f"{who['session']}-{chance.randrange(9)}", answer, "ann", b.at(at))


def _case_written(chance: Random, at: float, who: dict[str, Any]) -> r.CaseWritten:
    """Of the case that its incidents make."""
    about = _about(_name(chance, who), who)
    name = case_id(agent_of(about), about.fingerprint)
    return r.CaseWritten(name, "ann", b.at(at), chance.choice((None, "it asks first")), retired=chance.random() < 0.1)


def _notice(chance: Random, at: float, who: dict[str, Any]) -> r.Notice:
    """Of an incident, or of none."""
    about = {"incident": _name(chance, who)} if chance.random() < 0.7 else {"agent": f"agent-of-{who['session']}"}
    return r.Notice(id=f"n-{who['session']}-{at}", at=b.at(at), headline="an override", lines=("why",), **about)


SAMPLES: dict[type, Any] = {
    r.ControlAsked: _control_asked,
    r.Probed: lambda c, at, who: r.Probed(_scope(c, who), b.at(at - 60), c.randrange(1, 20), b.at(at)),
    r.ApprovalAsked: _approval_asked,
    r.ApprovalAnswered: _approval_answered,
    r.ApprovalEnded: lambda c, at, who: r.ApprovalEnded(f"{who['session']}-{c.randrange(9)}", b.at(at), "it is over"),
    r.CaseWritten: _case_written,
    r.Override: _override,
    r.OverrideApproved: lambda c, at, who: r.OverrideApproved(f"o-{who['session']}-{c.randrange(9)}", "bob", b.at(at)),
    r.OverrideEnded: _ended,
    r.Freeze: _freeze,
    r.Notice: _notice,
    r.Decided: _decided,
    r.Confirmed: lambda c, at, who: r.Confirmed((_name(c, who),), f"ann-{who['session']}", b.at(at)),
    r.Granted: _granted,
    r.Labelled: _label,
    Credit: _credit,
    Agreed: lambda c, at, who: Agreed(_name(c, who), "bob", b.at(at)),
    r.SessionStarted: _started,
    r.Heartbeat: _beat,
    r.LlmCalled: _model,
    r.ToolCalled: _tool,
    r.DecisionMade: _decision,
    r.PermissionChecked: _permission,
    r.EvalScored: _evaluation,
    r.CheckpointRecorded: conduct.checkpoint,
    r.SessionEnded: lambda _c, at, who: b.session_ended(at, **who),
    r.IntakeRejected: lambda c, at, who: b.intake_rejected(at, session=who["session"], reason=f"r{c.randrange(90)}"),
    r.Fact: fact,
    r.Deployed: _deployed,
    r.Bypassed: _bypassed,
    r.Sighted: _sighted,
    r.Incident: _incident,
    r.Due: _due,
    r.Cleared: _cleared,
    r.Silence: _silence,
    r.Outcome: _outcome,
    r.Acknowledgement: lambda c, at, who: b.acknowledgement(_name(c, who), at),
    r.Receipt: _receipt,
    r.Advanced: _advanced,
    r.Watched: _watched,
    r.Passed: _passed,
    r.Assignment: _assignment,
    r.Split: _split,
    r.Merge: _merge,
    r.Speaks: _speaks,
    r.SpokenFor: lambda c, at, who: r.SpokenFor(_name(c, who), f"v1:x:{c.randrange(3)}#1", b.at(at), "a", True),
    r.Under: lambda c, at, who: r.Under(_name(c, who), f"v1:x:{c.randrange(3)}#1", b.at(at), c.random() < 0.5),
    r.Worsened: _worsened,
    r.Sustained: lambda c, at, who: r.Sustained(_name(c, who), b.at(at + 9), b.at(at), "a", "high"),
    r.Expired: lambda c, at, who: r.Expired(_name(c, who), c.randrange(1, 3), b.at(at)),
    r.Grouped: lambda c, at, who: b.grouped(_name(c, who), f"v1:x:{c.randrange(3)}#1", at),
    r.PowerChanged: _power_changed,
    r.Released: lambda c, at, who: b.released(_name(c, who), at),
    r.Obligation: lambda c, at, who: b.obligation(_name(c, who), "page", c.randrange(1, 4), at=b.at(at)),
}


def history(decider: Any, size: int, *, seed: int = 1, step_s: float | None = None, **who: Any) -> list[Any]:
    """Records that `decider` reads, in order of their time, about one session unless told otherwise."""
    chance = Random(seed)
    known = {"session": "s1", "release": "7", **who}
    kinds = sorted(decider.reads, key=lambda kind: kind.__name__)
    apart = PACE.get(decider.name, USUAL_S) if step_s is None else step_s
    found = []
    for number in range(size):
        kind = chance.choice(kinds)
        more = (getattr(decider, "kinds", ()),) if kind is r.Fact else ()
        found.append(SAMPLES[kind](chance, number * apart, known, *more))
    return found
