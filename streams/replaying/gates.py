"""Release gates on virtual time: asked again whenever what they look at has changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from ..learn.gates.inputs import Index
from ..learn.gates.rules import decide
from ..learn.gates.values import gate_values
from ..policy import Policy
from ..records import (
    Exposure,
    GateDecision,
    GateExposure,
    GateIncident,
    GateQuestion,
    GateRelease,
    GateSnapshot,
    Incident,
    ReleaseRegistered,
    evaluators,
)

Address = tuple[str, str, str, str]  # gate, agent, release, environment


class Gates:
    """Says a decision when its state or its reasons are new."""

    def __init__(self, policy: Policy, pages: str = "") -> None:
        self._values = tuple(
            gate_values(policy.gates, policy.name, policy.digest, pages, policy.calibration.starts).values()
        )
        self._exposure: dict[tuple[str, str, str], GateExposure] = {}
        self._releases: dict[tuple[str, str], GateRelease] = {}
        self._incidents: dict[str, GateIncident] = {}
        self._parents: dict[str, str] = {}
        self._said: dict[Address, tuple[Any, ...]] = {}
        self._version = self._asked = 0

    def exposure(self, exposure: Exposure) -> None:
        address = (exposure.agent, exposure.release, exposure.environment)
        known = self._exposure.get(address, GateExposure(*address, 0, 0))
        sums = GateExposure(*address, known.sessions + exposure.sessions, known.bad + exposure.bad)
        self._exposure[address] = sums
        name = (exposure.agent, exposure.release)
        self._releases.setdefault(name, GateRelease(*name, exposure.minute))
        self._version += 1

    def delivery(self, event: Any) -> None:
        if not isinstance(event, ReleaseRegistered):
            return
        data = event.data
        name = (data.agent, data.release)
        known = self._releases.get(name, GateRelease(*name, event.time))
        self._releases[name] = replace(
            known,
            registered_at=known.registered_at or event.time,
            registered=True,
            parents=tuple(data.parents or ()),
            aliases=tuple(data.aliases or ()),
            commit=data.commit or "",
            fixes=tuple(data.fixes or ()),
            author=(data.author.id or "") if data.author else "",
        )
        self._version += 1

    def incident(self, incident: Incident) -> None:
        if "dry_run" in incident.held:  # a detector on trial blocks nobody
            return
        seen = _seen(incident)
        if self._incidents.get(incident.id) == seen and self._parents.get(incident.id) == incident.parent:
            return
        self._incidents[incident.id] = seen
        if incident.parent:
            self._parents[incident.id] = incident.parent
        self._version += 1

    def decisions(self, at: datetime, watermark: datetime | None) -> Iterator[GateDecision]:
        """Those whose state or reasons have changed since the last call."""
        if self._asked == self._version:
            return
        self._asked = self._version
        for address, decision in self._all(at, watermark):
            why = tuple((reason.code, reason.detail.get("incident")) for reason in decision.reasons)
            known = self._said.get(address)
            if known is None or known[:2] != (decision.state, why):
                self._said[address] = (decision.state, why, decision.inputs_digest)
                yield decision

    def final(self, at: datetime, watermark: datetime | None) -> Iterator[GateDecision]:
        """Once more those whose numbers have changed since they were said."""
        for address, decision in self._all(at, watermark):
            if self._said[address][2] != decision.inputs_digest:
                yield decision

    def _all(self, at: datetime, watermark: datetime | None) -> Iterator[tuple[Address, GateDecision]]:
        index = Index(self._snapshot())
        for agent, release, environment in index.addresses():
            inputs = index.inputs(GateQuestion(agent, release, environment), at, watermark)
            for values in self._values:
                yield (values.gate, agent, release, environment), decide(values, inputs, at)

    def _snapshot(self) -> GateSnapshot:
        incidents = (self._with_parent(incident) for incident in self._incidents.values())
        return GateSnapshot(
            self._version, tuple(self._releases.values()), tuple(self._exposure.values()), tuple(incidents)
        )

    def _with_parent(self, incident: GateIncident) -> GateIncident:
        """A merged incident has the stage and outcome of its parent."""
        parent = self._incidents.get(self._parents.get(incident.id, ""))
        if incident.stage != "merged" or parent is None:
            return incident
        return replace(
            incident,
            stage=parent.stage,
            outcome=parent.outcome,
            fixed_in=parent.fixed_in,
            outcome_at=parent.outcome_at,
            expires_at=parent.expires_at,
            pressed=parent.pressed,
            inferred=parent.inferred,
            accepted_count=0,
            ticket=incident.ticket or parent.ticket,
            ticket_url=incident.ticket_url or parent.ticket_url,
        )


def _seen(incident: Incident) -> GateIncident:
    agent = incident.subject.get("agent", "")
    said = incident.decision
    return GateIncident(
        id=incident.id,
        title=incident.title,
        severity=incident.severity,
        stage=incident.stage,
        releases=incident.releases,
        outcome=incident.outcome,
        fixed_in=incident.fixed_in,
        ticket=incident.ticket,
        ticket_url=incident.ticket_url,
        agents=incident.agents or ((agent,) if agent else ()),
        detector=incident.detector,
        judges=evaluators(incident),
        opened_at=incident.opened_at,
        outcome_at=said.at if said else incident.resolved_at,
        expires_at=said.expires_at if said else None,
        accepted_count=said.count if said else 0,
        count=incident.count if said and said.count else 0,
        pressed=said.pressed if said else False,
        inferred=said.inferred if said else False,
    )
