"""Writes evidence: events in their order with the first that went wrong, and the nine things an audit asks for."""

from __future__ import annotations

from collections.abc import Callable

from ..records import Excerpt, Incident
from .messages import EvidenceDoc, Pairs
from .routing import BookValues
from .writing_words import clip, moment

TIMELINE_MAX = 10
EXCERPT_MAX = 300
ATTACHED_MAX = 2000  # of one text in the attachment
WELL = ("", "ok", "succeeded", "passed", "allowed")
UNKNOWN = "unknown: no event said"
FIRST = "FIRST THAT WENT WRONG: "
KINDS = {
    "agent.session.started.v1": "session started",
    "agent.heartbeat.v1": "heartbeat",
    "agent.llm.called.v1": "model call",
    "agent.tool.called.v1": "tool call",
    "agent.decision.made.v1": "decision",
    "agent.permission.checked.v1": "permission",
    "agent.eval.scored.v1": "evaluation",
    "agent.checkpoint.recorded.v1": "checkpoint",
    "agent.session.ended.v1": "session ended",
    "intake.rejected.v1": "event rejected",
}


def said(one: Excerpt, detector: str = "") -> str:
    """One event in a line: what it was, how it went, where it stands."""
    value = "" if one.value is None else f"{_measure(one, detector)}{one.value:g}"
    what = " ".join(filter(None, (KINDS.get(one.type, one.type), one.tool)))
    how = ", ".join(filter(None, (one.status, value)))
    seen = f"{what}: {how}" if how else what
    text = f" · {clip(one.text, EXCERPT_MAX // 2)}" if one.text else ""
    session = f"session {clip(one.session, 60)}, " if one.session else ""
    return clip(f"{clip(seen, 90)}{text} ({session}{moment(one.at)}, {one.position})", EXCERPT_MAX)


def _measure(one: Excerpt, detector: str) -> str:
    """What its number is."""
    if one.type == "agent.eval.scored.v1":
        return "score "
    return "cost " if detector.startswith("cost.") else ""


def timeline(incident: Incident) -> tuple[str, ...]:
    """The events in their order; the first that did not go well is where it went wrong."""
    events = sorted(incident.evidence, key=lambda one: (one.at, one.position))[:TIMELINE_MAX]
    first = next((place for place, one in enumerate(events) if one.status not in WELL), None)
    return tuple(
        f"{FIRST if number == first else ''}{said(one, incident.detector)}" for number, one in enumerate(events)
    )


def nine(incident: Incident) -> Pairs:
    """Each is said, if only that no event said it: an empty place would read as `nothing happened`."""
    asked: tuple[tuple[str, Callable[[Excerpt], bool]], ...] = (
        ("Tool called", lambda one: one.type == "agent.tool.called.v1"),
        ("Rejected alternatives", lambda one: one.type == "agent.decision.made.v1"),
        ("Human policy decision", lambda one: _permission(one) and "human" in (one.text or "")),
        ("Permissions", _permission),
        ("Session cost", lambda one: one.type == "agent.llm.called.v1" and one.value is not None),
        ("Retry reason", _nobody),
        ("Checkpoint", lambda one: one.type == "agent.checkpoint.recorded.v1"),
        ("Evaluator result", lambda one: one.type == "agent.eval.scored.v1"),
        ("Final side effect", lambda one: one.type == "agent.session.ended.v1"),
    )
    newest = sorted(incident.evidence, key=lambda one: (one.at, one.position), reverse=True)
    found = ((label, next((one for one in newest if fits(one)), None)) for label, fits in asked)
    return tuple((label, said(one, incident.detector) if one else UNKNOWN) for label, one in found)


def _nobody(_: Excerpt) -> bool:
    """An excerpt does not carry it."""
    return False


def _permission(one: Excerpt) -> bool:
    return one.type == "agent.permission.checked.v1"


def evidence(values: BookValues, incident: Incident) -> EvidenceDoc:
    return EvidenceDoc(
        incident=incident.id,
        deployment=values.deployment,
        ticket=f"{incident.id}:ticket:1",
        fingerprint=incident.fingerprint,
        detector=incident.detector,
        title=clip(incident.title),
        subject={clip(key): clip(value) for key, value in incident.subject.items()},
        first_seen=moment(incident.first_seen),
        last_seen=moment(incident.last_seen),
        sessions=tuple(clip(one) for one in incident.sessions),
        releases=tuple(clip(one) for one in incident.releases),
        excerpts=tuple(_attached(one) for one in incident.evidence),
    )


def _attached(one: Excerpt) -> dict[str, object]:
    shown: dict[str, object] = {}
    for name in one.__struct_fields__:
        value = getattr(one, name)
        if value is None or value == "":
            continue
        shown[name] = clip(value, ATTACHED_MAX) if isinstance(value, str) else value
    return shown
