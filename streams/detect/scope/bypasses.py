"""Releases that went on although their gate had not let them."""

from __future__ import annotations

from typing import Any

from ...records import About, Bypassed, Finding, Severity
from ...step import Step
from ..detector import Detector, Nothing
from ..facts import shelf_of
from .deployments import NoThresholds


class GateBypass(Detector[NoThresholds]):
    """A release was promoted, or has most of the sessions, though its gate held or blocked it. Learn observes it.

    Subject: agent and environment.
    """

    name = "gate.bypass"
    reads: tuple[type, ...] = (Bypassed,)
    severity: Severity = "medium"
    runbook = (
        "Read why the gate held it: tocsin gate explain, with the decision that the ticket names.\n"
        "If it had to go on: say so with an override next time, it is written down and ends by itself.\n"
        "If nobody meant to: roll back, and find out which path to production asks no gate."
    )
    limits = NoThresholds
    minimum = "20 sessions, where no deployment was told"
    false_alarms = "rule: what was deployed beside what the gate had answered"

    def key(self, record: Bypassed) -> str | None:
        return shelf_of(("bypass", record.agent, record.environment))

    def step(self, memory: Nothing | None, record: Any) -> Step[Nothing]:
        return Step(memory, (self._finding(record),)) if isinstance(record, Bypassed) else Step(memory)

    def _finding(self, record: Bypassed) -> Finding:
        who = f" by {record.actor}" if record.actor else ""
        how = f"was promoted{who}" if record.how == "promoted" else f"has {record.share or 0:.0%} of the sessions"
        subject = {"agent": record.agent, "environment": record.environment}
        return self.found(
            subject,
            f"{record.agent} went past gate {record.gate} in {record.environment}",
            at=record.at,
            observed=f"{record.release} {how} although the gate's last answer was {record.state}",
            expected="allow or warn, or an override",
            hint=f"tocsin gate explain {record.decision}" if record.decision else None,
            releases=(record.release,),
            id=f"{self.name}|{record.agent}|{record.release}|{record.environment}",
            about=About(record.agent, record.release, record.environment),
            dry_run=self.chosen(record.agent).dry_run,
            control=self.control,
        )
