"""Builds every record that tests need. A new field touches one line here.

Times are seconds after EPOCH. Every builder takes the record's own fields as keywords on top of its defaults.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from streams import records as r

EPOCH = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
_numbers = count(1)


def at(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


def when(moment: datetime | float) -> datetime:
    return moment if isinstance(moment, datetime) else at(moment)


# -- the envelope -----------------------------------------------------------------------------------------------------


def position(offset: int = 0, source: str = "agent.events/1/0") -> r.Position:
    return r.Position(source, offset)


def money(amount: str | float = "0.01", **given: Any) -> r.Money:
    return r.Money(Decimal(str(amount)), **given)


def ctx(session: str = "s1", agent: str = "billing", release: str = "7", **given: Any) -> r.Ctx:
    return r.Ctx(session_id=session, run_id=given.pop("run_id", session), agent=r.Agent(agent, release), **given)


def attribution(team: str | None = None, **given: Any) -> r.Attribution:
    return r.Attribution(operator=r.Operator(team=team) if team else None, **given)


def _event(kind: type, moment: datetime | float, data: Any, envelope: dict[str, Any]) -> Any:
    number = next(_numbers)
    known = {"specversion": "1.0", "id": f"e{number}", "source": "/agents", "time": when(moment), "data": data}
    return kind(**{**known, "position": position(number), **envelope})


def _agent(kind: type, shape: type, moment: datetime | float, known: dict[str, Any], given: dict[str, Any]) -> Any:
    """`session`, `agent`, `release`, `env` go into the context, `id`, `source`, `position`, … into the envelope."""
    about = {key: given.pop(key) for key in ("session", "agent", "release", "env", "user") if key in given}
    envelope = {key: given.pop(key) for key in ("id", "source", "position", "recordedtime") if key in given}
    data = shape(ctx=given.pop("ctx", None) or ctx(**about), **{**known, **given})
    return _event(kind, moment, data, envelope)


# -- what agents do ---------------------------------------------------------------------------------------------------


def session_started(moment: datetime | float = 0, **given: Any) -> r.SessionStarted:
    return _agent(r.SessionStarted, r.SessionStartedData, moment, {}, given)


def heartbeat(moment: datetime | float = 0, **given: Any) -> r.Heartbeat:
    return _agent(r.Heartbeat, r.HeartbeatData, moment, {"state": "running", "interval_s": 30.0}, given)


def llm_called(moment: datetime | float = 0, **given: Any) -> r.LlmCalled:
    known = {
        "call_id": f"llm{next(_numbers)}",
        "provider": "openai",
        "model": "gpt-5",
        "status": r.Status.ok,
        "duration_ms": 900,
        "tokens": r.Tokens(1000, 200),
        "cost": money(),
    }
    return _agent(r.LlmCalled, r.LlmCalledData, moment, known, given)


def tool_called(moment: datetime | float = 0, *, tool: str = "search", **given: Any) -> r.ToolCalled:
    known = {"call_id": f"tool{next(_numbers)}", "tool": r.Tool(tool), "status": r.Status.ok, "duration_ms": 40}
    return _agent(r.ToolCalled, r.ToolCalledData, moment, known, given)


def tool_failed(moment: datetime | float = 0, *, message: str = "connection refused", **given: Any) -> r.ToolCalled:
    error = given.pop("error", None) or r.Error("ConnectionError", message)
    return tool_called(moment, **{"status": r.Status.error, "error": error, **given})


def decision_made(moment: datetime | float = 0, **given: Any) -> r.DecisionMade:
    known = {"decision_id": f"d{next(_numbers)}", "chosen": "refund", "kind": "tool"}
    return _agent(r.DecisionMade, r.DecisionMadeData, moment, known, given)


def permission_checked(moment: datetime | float = 0, **given: Any) -> r.PermissionChecked:
    known = {
        "request_id": f"p{next(_numbers)}",
        "action": "refund",
        "result": r.PermissionResult.allowed,
        "decided_by": r.Actor("policy", "refunds"),
    }
    return _agent(r.PermissionChecked, r.PermissionCheckedData, moment, known, given)


def eval_scored(moment: datetime | float = 0, *, evaluator: str | r.Evaluator = "tone", **given: Any) -> r.EvalScored:
    judge = r.Evaluator(evaluator) if isinstance(evaluator, str) else evaluator
    known = {"evaluator": judge, "status": r.Status.ok, "passed": True}
    return _agent(r.EvalScored, r.EvalScoredData, moment, known, given)


def checkpoint_recorded(moment: datetime | float = 0, **given: Any) -> r.CheckpointRecorded:
    known = {"checkpoint_id": f"c{next(_numbers)}", "op": "create", "result": r.Status.ok}
    return _agent(r.CheckpointRecorded, r.CheckpointRecordedData, moment, known, given)


def session_ended(moment: datetime | float = 0, **given: Any) -> r.SessionEnded:
    return _agent(r.SessionEnded, r.SessionEndedData, moment, {"status": r.SessionStatus.succeeded}, given)


# -- what delivery says -----------------------------------------------------------------------------------------------


def release_registered(moment: datetime | float = 0, **given: Any) -> r.ReleaseRegistered:
    data = r.ReleaseRegisteredData(**{"agent": "billing", "release": "7", **given})
    return _event(r.ReleaseRegistered, moment, data, {})


def release_deployed(moment: datetime | float = 0, **given: Any) -> r.ReleaseDeployed:
    known = {"agent": "billing", "release": "7", "environment": "prod", "op": "promote", "result": r.Status.ok}
    return _event(r.ReleaseDeployed, moment, r.ReleaseDeployedData(**{**known, **given}), {})


def case_scored(moment: datetime | float = 0, **given: Any) -> r.CaseScored:
    known = {"case_id": "case1", "agent": "billing", "release": "7", "runs": 10, "passes": 9}
    return _event(r.CaseScored, moment, r.CaseScoredData(**{**known, **given}), {})


# -- what flows inside ------------------------------------------------------------------------------------------------


def tick(moment: datetime | float = 0) -> r.Tick:
    return r.Tick(when(moment))


def watermarks(moment: datetime | float = 0, **given: Any) -> r.Watermarks:
    known = {"writer": "intake-0", "partitions": {"agent.events/1": 1}, "sources": {}}
    return r.Watermarks(at=when(moment), **{**known, **given})


def intake_rejected(moment: datetime | float = 0, **given: Any) -> r.IntakeRejected:
    about = given.pop("ctx", None) or ctx(session=given.pop("session", "intake:billing"))
    known = {"reason": "schema", "pointer": "/data/status", "detail": "missing", "rejected": position(3)}
    return _event(r.IntakeRejected, moment, r.IntakeRejectedData(ctx=about, **{**known, **given}), {})


def about(agent: str = "billing", release: str = "7", team: str | None = None, **given: Any) -> r.About:
    known = {"environment": "prod", "session": "s1", "attribution": attribution(team) if team else None}
    return r.About(agent=agent, release=release, **{**known, **given})


def excerpt(moment: datetime | float = 0, offset: int | None = None, **given: Any) -> r.Excerpt:
    place = str(position(next(_numbers) if offset is None else offset))
    known = {"type": "agent.tool.called.v1", "session": "s1", "status": "error", "tool": "search", "text": "refused"}
    return r.Excerpt(position=place, at=when(moment), **{**known, **given})


def fact(moment: datetime | float = 0, **given: Any) -> r.Fact:
    start = when(moment)
    bucket = start.replace(second=start.second - start.second % 10, microsecond=0)
    known = {"kind": "evaluation", "subject": ("billing", "tone", "7", "prod"), "sums": {"passed": 1}, "about": about()}
    return r.Fact(bucket=bucket, **{**known, **given})


def facts(offset: int, *given: r.Fact) -> r.Facts:
    return r.Facts(position(offset, "tocsin.timeline/1/0"), given or (fact(),))


def clock_forwarded(moment: datetime | float = 0, **given: Any) -> r.ClockForwarded:
    return r.ClockForwarded(at=when(moment), **{"source": "tocsin.timeline/1/0", "partitions": 1, **given})


def finding(moment: datetime | float = 0, *, trouble: str = "search", **given: Any) -> r.Finding:
    """`trouble` names the fingerprint; `agent`, `release`, `session`, `team` say whom it is about."""
    whom = {key: given.pop(key) for key in ("agent", "release", "session", "team") if key in given}
    agent, detector = whom.get("agent", "billing"), given.get("detector", "tool.repeated_error")
    known = {
        "detector": detector,
        "version": 1,
        "fingerprint": f"v1:{detector}:{trouble}",
        "subject": {"agent": agent, "tool": trouble},
        "title": f"{agent}: tool {trouble} keeps failing",
        "severity": "high",
        "about": about(**whom),
        "id": f"v1:{detector}:{trouble}|{whom.get('session', 's1')}|{next(_numbers)}",
        "policy": "sha256:0",
    }
    return r.Finding(at=when(moment), **{**known, **given})


def exposure(moment: datetime | float = 0, **given: Any) -> r.Exposure:
    known = {"agent": "billing", "release": "7", "environment": "prod", "sessions": 10, "bad": 1}
    return r.Exposure(minute=when(moment).replace(second=0, microsecond=0), **{**known, **given})


def dead_letter(**given: Any) -> r.DeadLetter:
    return r.DeadLetter(**{"reason": "schema", "errors": ("missing",), "position": position(), "value": b"{", **given})


# -- the book ---------------------------------------------------------------------------------------------------------


def sighted(moment: datetime | float = 0, *, wall: datetime | float | None = None, **given: Any) -> r.Sighted:
    """A finding of event time `moment`, read at `wall` (default: a second later)."""
    found = given.pop("finding", None) or finding(moment, **given)
    return r.Sighted(found, when(moment) + timedelta(seconds=1) if wall is None else when(wall))


def outcome(incident: str, value: str = "fixed", moment: datetime | float = 0, **given: Any) -> r.Outcome:
    known = {"incident": incident, "outcome": value, "at": when(moment), "actor": "ann", "source": "jira"}
    return r.Outcome(**{**known, **given})


def acknowledgement(incident: str, moment: datetime | float = 0, actor: str = "ann") -> r.Acknowledgement:
    return r.Acknowledgement(incident, when(moment), actor)


def silence(moment: datetime | float = 0, until: datetime | float = 600, **given: Any) -> r.Silence:
    known = {"id": "quiet", "matchers": {"agent": "billing"}, "reason": "maintenance", "actor": "ann"}
    return r.Silence(at=when(moment), until=when(until), **{**known, **given})


def incident(moment: datetime | float = 0, *, trouble: str = "search", episode: int = 1, **given: Any) -> r.Incident:
    seen = finding(moment, trouble=trouble)
    known = {
        "id": f"{seen.fingerprint}#{episode}",
        "fingerprint": seen.fingerprint,
        "episode": episode,
        "detector": seen.detector,
        "title": seen.title,
        "subject": seen.subject,
        "severity": "high",
        "stage": "open",
        "owner": "platform",
        "about": seen.about,
        "first_seen": when(moment),
        "last_seen": when(moment),
        "opened_at": when(moment),
        "count": 1,
        "findings": 1,
    }
    return r.Incident(**{**known, **given})


def due(moment: datetime | float = 0, **given: Any) -> r.Due:
    whom = {key: given.pop(key) for key in ("trouble", "severity", "told") if key in given}
    told = given.pop("incident", None) or incident(moment, **whom)
    known = {"want": ("page", "ticket"), "grouping": "agent:billing", "of": 1, "at": when(moment)}
    return r.Due(incident=told, **{**known, **given})


def cleared(moment: datetime | float = 0, *, by: str = "silence", held: str | None = None, **given: Any) -> r.Cleared:
    return r.Cleared(given.pop("due", None) or due(moment, **given), by, held)


def grouped(child: str, parent: str, moment: datetime | float = 0) -> r.Grouped:
    return r.Grouped(child, parent, when(moment))


def released(name: str, moment: datetime | float = 0, by: str = "silence") -> r.Released:
    return r.Released(name, by, when(moment))


def obligation(name: str, kind: str = "page", ordinal: int = 1, **given: Any) -> r.Obligation:
    to = "slack:C0TOCSIN" if kind == "page" else "jira:OPS"
    known = {"id": f"{name}:{kind}:{ordinal}", "destination": to, "body": {"doc": kind}, "at": at(0)}
    return r.Obligation(incident=name, kind=kind, ordinal=ordinal, **{**known, **given})


def receipt(name: str, kind: str = "ticket", moment: datetime | float = 0, **given: Any) -> r.Receipt:
    known = {"obligation": f"{name}:{kind}:1", "answer": r.Done("OPS-1", "https://jira.example/browse/OPS-1")}
    return r.Receipt(incident=name, kind=kind, at=when(moment), **{**known, **given})
