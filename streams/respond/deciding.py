"""What a person's decision does to an incident, and what taking it back does."""

from __future__ import annotations

from msgspec.structs import replace

from ..records import Decision, Incident, Outcome
from ..step import Step
from .life import OVER, PARENT, Life, alone, awake, episode, let_go, missing, notices, put, questions

DRY_RUN = "dry_run"


def decided(life: Life, record: Outcome) -> Step[Life]:
    incident = episode(life, record.incident)
    if incident is None:
        return Step(life)
    current, follows = incident.id == life.incident.id, record.source == PARENT
    last = life.decided_at if current else incident.resolved_at
    if last is not None and (record.at < last or (record.at == last and not follows)):
        return Step(life)  # the last decision wins, and an echo is not one
    if follows and current and f"explained:{record.reason}" in life.spoken_for.values():
        if record.outcome == "false_positive" and "ticket" not in incident.told:
            return Step(life) if incident.stage in OVER else _unexplained(life, record)
        record = _elsewhere(record)
    if incident.stage == "merged" and record.outcome == "duplicate" and not follows:
        return Step(life)  # our own closing of the ticket, read back
    again = _again(incident, record)
    incident = replace(
        awake(incident),
        stage="resolved",
        outcome=record.outcome,
        fixed_in=record.fixed_in,
        resolved_at=record.at,
        resolved_by=_who(record),
        decision=_decision(incident, record),
        held=() if incident.told else incident.held,
    )
    life = put(life, incident)
    if current:
        life = replace(life, horizon=max(record.at, incident.last_seen), decided_at=record.at)
        life = replace(life, followed=record.reason if follows else None)
        life = replace(life, because=None if follows else record.reason)
    # What follows its parent owes nobody a word of its own; the groups still have to know.
    want = ("settled",) if follows else ("settled", "outcome") if not again else ()
    if record.outcome == "unspecified" and want and not follows and not life.unnamed and current:
        life, want = replace(life, unnamed=True), (*want, "unnamed")
    if not want:
        return Step(life, (incident,))
    return Step(life, (incident, *alone(incident, want, record.at), *notices(life, incident, want, record.at)))


def _decision(incident: Incident, record: Outcome) -> Decision:
    return Decision(
        at=record.at,
        actor=record.actor,
        why=record.why or "",
        cause=record.cause or "",
        expires_at=record.expires_at,
        review_at=record.review_at,
        provider=record.provider or "",
        duplicate_of=record.duplicate_of or "",
        inferred=record.inferred,
        bulk=record.bulk,
        pressed=record.pressed,
        count=incident.count,
    )


def _again(incident: Incident, record: Outcome) -> bool:
    """Whether it says what is known: a button and the ticket's resolution often say one thing twice."""
    before, after = incident.decision, _decision(incident, record)
    if incident.stage != "resolved" or before is None:
        return False
    same = replace(before, at=after.at, actor=after.actor, count=after.count)
    return (incident.outcome, incident.fixed_in, same) == (record.outcome, record.fixed_in, after)


def _elsewhere(record: Outcome) -> Outcome:
    """Nothing was wrong in the releases it was seen in. Should it be seen again, in whichever, it is told."""
    if record.outcome not in ("fixed", "false_positive"):
        return record
    return replace(record, outcome="external_cause", fixed_in=None)


def _unexplained(life: Life, record: Outcome) -> Step[Life]:
    """What was explained by a mistake asks for itself, if it was seen lately."""
    others = {key: one for key, one in life.spoken_for.items() if not one.endswith(f":{record.reason}")}
    return let_go(replace(life, spoken_for=others), record.at)


def _who(record: Outcome) -> str | None:
    if record.source in ("", PARENT):
        return record.actor or None
    return f"{record.actor} ({record.source})" if record.actor else record.source


def reopened(life: Life, record: Outcome) -> Step[Life]:
    incident = life.incident
    stale = life.decided_at is not None and record.at <= life.decided_at
    follows = record.source == PARENT
    own = follows and record.reason != life.followed  # a person decided on this one, whatever becomes of the parent
    if stale or own or incident.id != record.incident or incident.stage not in OVER:
        return Step(life)  # an earlier episode stays closed: its trouble has an open incident of its own
    merged = follows and "ticket" in incident.told
    stage = "merged" if merged else "acknowledged" if incident.acknowledged_by else "open"
    spoken_for = {key: one for key, one in life.spoken_for.items() if follows and one.endswith(f":{record.reason}")}
    held = tuple(sorted({*spoken_for.values()})) or (f"grouped:{record.reason}",) if follows and not merged else ()
    incident = replace(
        awake(incident),
        stage=stage,
        outcome=None,
        fixed_in=None,
        resolved_at=None,
        resolved_by=None,
        decision=None,
        parent=record.reason if follows else None,
        held=(DRY_RUN,) if DRY_RUN in incident.held else held,
    )
    owed = missing(incident) if not incident.held and not merged else ()
    life = replace(life, incident=incident, horizon=None, decided_at=record.at, asked=bool(owed))
    life = replace(life, spoken_for=spoken_for, because=None)
    news = alone(incident, ("unsettled", "update"), record.at)
    asks = questions(life, owed, record.at) if owed else ()
    return Step(life, (incident, *news, *notices(life, incident, ("unsettled",), record.at), *asks))
