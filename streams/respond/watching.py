"""Wires the auditor: what the policy promises, what is said when a promise is broken, the drill and its owner."""

from __future__ import annotations

from functools import partial

from .. import topics
from ..beliefs import Owner
from ..policy import Policy
from ..settings import Settings
from . import promise
from .auditor import Auditor, Promised, Words
from .canary import Canary, Schedule
from .heartbeat import Heartbeat
from .meters import Meters
from .routing import CANARY
from .standing import EventTime


def watching(settings: Settings, policy: Policy, meters: Meters, receivers: tuple[str, ...]) -> Auditor:
    findings = topics.named(topics.FINDINGS, settings.generation)
    incidents = topics.named(topics.INCIDENTS, settings.generation)
    words = Words(
        lambda what, count, oldest, at: promise.broken(what, count, oldest, policy.digest, at),
        lambda late, at: promise.elsewhere(late, settings.deployment, at),
        findings,
        incidents,
    )
    auditor = Auditor(
        settings.database,
        Promised(policy.promise.page_s, policy.promise.ticket_s, receivers),
        words,
        meters,
        heartbeat=Heartbeat(settings.heartbeat_url, meters),
        clock=EventTime(settings.kafka, topics.named(topics.FACTS, settings.generation)),
    )
    if every_s := policy.canary.every_s:
        schedule = Schedule(
            every_s,
            max(policy.promise.page_s, policy.promise.ticket_s),
            partial(promise.slot_of, every_s=every_s),
            lambda slot, at: promise.canary(slot, every_s, policy.digest, at),
            partial(promise.canary_closed, deployment=settings.deployment),
            findings,
            incidents,
        )
        auditor.drill = Canary(schedule, meters)
    return auditor


def drill_owner(policy: Policy) -> tuple[Owner, ...]:
    """Whom made-up incidents belong to: a channel and a project of their own."""
    canary = policy.canary
    return (Owner(name=CANARY, channel=canary.channel, project=canary.project),) if canary.every_s else ()
