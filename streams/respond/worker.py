"""Wires the respond role: the book's settle loop, a carrier per receiver that has an address, the publisher."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from .. import topics
from ..database import Connection, migrate
from ..detect.catalogue import DETECTORS
from ..learn.outcomes.meaning import Rules
from ..learn.outcomes.persons import Persons
from ..learn.outcomes.recorder import Recorder
from ..policy import Policy
from ..records import contents
from ..settings import Settings
from ..settle import Publisher
from . import book, oncalls
from .believing import Believed, noted
from .carry import Carrier, Pace, audits, nothing
from .hearing.ears import Ears
from .hearing.slack_socket import Socket
from .meters import Meters
from .receivers import http_wire, jira, jira_wire, oncall, pagerduty, slack, slack_wire, webhook
from .receivers.protocol import Receiver
from .routing import CANARY, Owner
from .settling import Names, Settling
from .shelf import Address
from .sweeping import Sweeper, sweeping
from .watching import drill_owner, watching

log = logging.getLogger(__name__)


class WiredBook:
    """The book's deciders with their policy, as the settle loop wants them."""

    def __init__(self, settings: Settings, policy: Policy) -> None:
        believed = msgspec.convert(policy, book.BookValues, from_attributes=True)
        runbooks = {name: stanza.runbook for name, stanza in policy.detectors.items() if stanza.runbook}
        shipped = {detector.name: detector.runbook for detector in DETECTORS}
        values = msgspec.structs.replace(
            believed,
            runbooks=shipped | runbooks,
            owners=(*believed.owners, *msgspec.convert(drill_owner(policy), tuple[Owner, ...], from_attributes=True)),
            detector_owners={name: stanza.owner for name, stanza in policy.detectors.items() if stanza.owner}
            | {CANARY: CANARY},
            controls={name: stanza.control for name, stanza in policy.detectors.items() if stanza.control},
            pages_url=settings.pages,
            deployment=settings.deployment,
            policy=policy.digest,
            power_start=policy.calibration.starts,
        )
        self.deciders: Sequence[Any] = book.deciders(values)

    def fold(self, memories: Mapping[Address, Any], inputs: Sequence[Any]) -> Any | set[Address]:
        found = book.fold(self.deciders, memories, inputs)
        return found.keys if isinstance(found, book.Missing) else found

    def woken(self, decider: str, key: str, at: datetime) -> book.Woken:
        return book.Woken(decider, key, at)


async def run(
    settings: Settings,
    policy: Policy,
    registry: CollectorRegistry,
    progress: Callable[[], None],
    stop: asyncio.Event,
    *,
    reached: Callable[[str], None] = nothing,
) -> None:
    """Until `stop`. `reached` hears of every step that a crash may come between."""
    await asyncio.to_thread(migrate, settings.database)
    await topics.ensure(settings.kafka, settings.generation, settings.replication)
    meters = Meters(registry)
    names = Names(
        topics.named(topics.FINDINGS, settings.generation),
        topics.named(topics.INCIDENTS, settings.generation),
        topics.named(topics.DEADLETTERS, settings.generation),
        settings.epoch,
        topics.named(topics.EXPOSURE, settings.generation),
        policy.time.minute_s,
    )
    settling = Settling(settings.database, settings.kafka, names, WiredBook(settings, policy), meters, reached=reached)
    settling.progress = progress
    settling.began = noting(policy, reached)
    duty = on_call(settings, policy)
    receivers = configured(settings, policy, meters, duty)
    pace = Pace(settings.call_timeout_s, settings.ask_after_s, audits_s=audits(settings.audit_after_s))
    carriers = [Carrier(settings.database, receiver, pace, meters, reached=reached) for receiver in receivers]
    publisher = Publisher(settings.database, settings.kafka, reached=reached)
    swept = sweepers(settings, receivers, meters)
    auditor = watching(settings, policy, meters, tuple(receiver.name for receiver in receivers))
    loops: list[Any] = [
        settling,
        publisher,
        *carriers,
        *swept,
        *listening(settings, policy, registry, reached),
        auditor,
    ]
    try:
        await together(loops, stop)
    finally:
        for receiver in receivers:
            await receiver.close()
        await duty.close()


def noting(policy: Policy, reached: Callable[[str], None] = nothing) -> Callable[[Connection], Awaitable[None]]:
    """Writes down that this policy is in force, if another one was."""
    believed = Believed(policy.digest, policy.name, contents(policy))

    async def note(conn: Connection) -> None:
        await noted(conn, believed, topics.POLICY.name, reached)

    return note


def configured(settings: Settings, policy: Policy, meters: Meters, duty: oncall.OnCall) -> list[Receiver]:
    """The receivers that have an address and a token; what is owed to the others stays owed, and the metrics say so."""
    found: list[Receiver] = []
    if settings.jira_url:
        wire = jira_wire.Wire(
            settings.jira_url,
            settings.jira_user,
            settings.jira_token,
            cloud=settings.jira_cloud,
            timeout_s=settings.call_timeout_s,
        )
        found.append(jira.Jira(wire, empty_quiet_s=2 * settings.ask_after_s))
    if settings.slack_token:
        slack_ = slack_wire.Wire(settings.slack_url, settings.slack_token, timeout_s=settings.call_timeout_s)
        again_s = min(5.0, settings.ask_after_s / 4)
        found.append(slack.Slack(slack_, again_s=again_s, buttons=settings.buttons, oncall=duty))
    if keys := settings.pagerduty_services:
        events = http_wire.Wire(timeout_s=settings.call_timeout_s)
        found.append(pagerduty.PagerDuty(events, settings.pagerduty_url, keys))
    if hooks := settings.hooks:
        found.append(webhook.Webhooks(http_wire.Wire(timeout_s=settings.call_timeout_s), hooks))
    there, named = {receiver.name for receiver in found}, oncalls.further(policy)
    for name in ("jira", "slack", *sorted(named)):
        meters.missing(name, missing=name not in there)
        if name not in there:
            log.warning("%s is not configured: what is owed there stays owed", name)
    return found


def listening(
    settings: Settings, policy: Policy, registry: CollectorRegistry, reached: Callable[[str], None] = nothing
) -> list[Socket]:
    """Whoever hears presses on buttons: over a socket, where there is an app token. The web role hears signed HTTP."""
    if not settings.slack_app_token or not settings.slack_token:
        return []
    bot, app = (
        slack_wire.Wire(settings.slack_url, token, timeout_s=settings.call_timeout_s)
        for token in (settings.slack_token, settings.slack_app_token)
    )
    recorder = Recorder(topics.OUTCOMES.name, Rules(Persons(policy.people), policy.calibration.bulk_max))
    ears = Ears(bot, settings.slack_team, recorder, registry)
    ears.hold_s = policy.breaker.person_s
    secure = settings.slack_url.startswith("https://")
    return [Socket(settings.database, app, ears, registry, secure=secure, reached=reached)]


def sweepers(settings: Settings, receivers: Sequence[Receiver], meters: Meters) -> list[Sweeper]:
    """For what may be left over somewhere outside: tickets."""
    pace = sweeping(settings.sweep_after_s)
    swept = [one for one in receivers if isinstance(one, jira.Jira)]
    return [Sweeper(settings.database, one, settings.deployment, meters, pace) for one in swept]


def on_call(settings: Settings, policy: Policy) -> oncall.OnCall:
    """Asks by connections of its own, with little patience: no page waits behind it."""
    api = settings.pagerduty_token
    schedules = oncall.Schedules(http_wire.Wire(timeout_s=oncall.WAIT_S), settings.pagerduty_api, api) if api else None
    wire = slack_wire.Wire(settings.slack_url, settings.slack_token, timeout_s=oncall.WAIT_S)
    return oncall.OnCall(wire, schedules, oncalls.rotas(policy.rotas))


async def together(loops: Sequence[Any], stop: asyncio.Event) -> None:
    """All of them until `stop` or until one fails; then every one ends what it has begun."""
    stopping = asyncio.create_task(stop.wait())
    tasks = [asyncio.create_task(loop.run(), name=type(loop).__name__) for loop in loops]
    try:
        await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for loop in loops:
            loop.stop()
        stopping.cancel()
        _, late = await asyncio.wait(tasks, timeout=60.0)
        for task in late:
            task.cancel()
        results = await asyncio.gather(stopping, *tasks, return_exceptions=True)
    for result in results[1:]:
        if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
            raise result
