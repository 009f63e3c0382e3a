"""What pipelines say of their deployments: a rollback that failed, updates that fail too often."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from ...records import About, Deployed, Severity
from ...step import Order, Step
from ..detector import Detector, Nothing
from ..facts import shelf_of

OK = "ok"
Count = Annotated[int, Meta(ge=1, le=500)]


class NoThresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule."""


class OfDeployments(Detector[Any]):
    """Read from delivery events by learn, not from sessions: a replay of sessions does not show them."""

    reads: tuple[type, ...] = (Deployed,)

    def key(self, record: Deployed) -> str | None:
        return shelf_of(("deployments", record.agent, record.environment))

    def said(self, record: Deployed, title: str, **more: Any) -> Any:
        """The id is made of what was said of the event: said again it is the same finding."""
        subject = {"agent": record.agent, "environment": record.environment}
        chosen = self.chosen(record.agent)
        finding = self.found(subject, title, at=record.at, **more)
        about = About(record.agent, record.release, record.environment)
        identity = f"{finding.fingerprint}|{self.key(record)}|{record.id}"
        return type(finding)(
            **{
                **{name: getattr(finding, name) for name in finding.__struct_fields__},
                "id": identity,
                "about": about,
                "dry_run": chosen.dry_run,
                "control": self.control,
            }
        )


class RollbackFailed(OfDeployments):
    """A rollback that did not end well: the release that somebody wanted gone may still be serving.

    Subject: agent and environment.
    """

    name = "delivery.rollback_failed"
    severity: Severity = "critical"
    runbook = (
        "See which release serves now: `tocsin release show`, and the delivery tool itself.\n"
        "Roll back by hand; where that is not possible, pause the release (tocsin control).\n"
        "Then find out why the rollback failed: it is what everybody relies on."
    )
    limits = NoThresholds
    false_alarms = "rule: what the pipeline itself says"

    def step(self, memory: Nothing | None, record: Deployed) -> Step[Nothing]:
        if record.op != "rollback" or record.result == OK:
            return Step(memory)
        by = f", decided by {record.decided_by}" if record.decided_by else ""
        found = self.said(
            record,
            f"{record.agent}: a rollback in {record.environment} failed",
            releases=(record.release,),
            observed=f"taking back {record.release}: {record.result}{by}",
            expected="a rollback that ends ok",
        )
        return Step(memory, (found,))


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    last: Count = 50  # updates that are looked at
    share_max: Annotated[float, Meta(ge=0, lt=1)] = 0.01
    updates_min: Count = 5
    failed_min: Count = 2


class Update(Struct, frozen=True, array_like=True, gc=False):
    release: str
    failed: bool = False


class Updates(Struct, frozen=True, array_like=True, gc=False):
    """Of one agent in one environment, in the order in which they began."""

    updates: tuple[Update, ...] = ()


class UpdatesFailed(OfDeployments):
    """Of the last updates of an agent in an environment too many failed, were aborted or taken back.

    An update is one release in one environment, however many steps it took. Subject: agent and environment.
    """

    name, memory = "delivery.updates_failed", Updates
    order: Order = "near"  # which update is among the last
    severity: Severity = "medium"
    runbook = (
        "Look at the last failed updates: did the gate, the pipeline or the release itself stop them?\n"
        "Releases that fail late: gate them earlier, on regression cases or a smaller share.\n"
        "Pipelines that fail: repair those first, an update that cannot be made is a fix that cannot be shipped."
    )
    limits = Thresholds
    minimum = "5 updates, 2 of them failed"
    false_alarms = "rule: a share of what pipelines say, no statistics"

    def step(self, memory: Updates | None, record: Deployed) -> Step[Updates]:
        limits: Thresholds = self.limits_for(record.agent)
        known = memory or Updates()
        failed = record.op in ("abort", "rollback") or record.result != OK
        before = next((one for one in known.updates if one.release == record.release), None)
        if before is not None and (before.failed or not failed):
            return Step(memory)
        others = tuple(one for one in known.updates if one is not before)
        after = Updates((*others, Update(record.release, failed))[-limits.last :])
        many, bad = len(after.updates), sum(one.failed for one in after.updates)
        if not failed or many < limits.updates_min or bad < limits.failed_min or bad <= limits.share_max * many:
            return Step(after)
        found = self.said(
            record,
            f"{record.agent}: too many updates fail in {record.environment}",
            observed=f"{bad} of the last {many} updates failed ({bad / many:.0%})",
            expected=f"at most {limits.share_max:.0%}",
        )
        return Step(after, (found,))
