"""`tocsin check --live`: whether the real Jira and Slack would take what is owed to each owner. Only reads."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec

from ..beliefs import Level, Owner
from ..policy import Policy
from ..respond import oncalls
from ..respond.receivers import jira_preflight, jira_wire, slack_preflight, slack_wire
from ..respond.watching import drill_owner
from ..respond.worker import on_call
from ..settings import Settings

Answer = dict[str, Any]


def live(settings: Settings, policy: Policy) -> Iterator[Answer]:
    """What is the same for several owners is asked once."""
    if settings.jira_url:
        yield from asyncio.run(_jira(settings, policy))
    if settings.slack_token:
        yield from asyncio.run(_slack(settings, policy))
    yield from asyncio.run(_schedules(settings, policy))


def _owners(policy: Policy) -> tuple[Owner, ...]:
    known = {owner.name for owner in policy.owners}
    fallback = () if policy.routing.fallback in known else (Owner(name=policy.routing.fallback),)
    return (*policy.owners, *fallback, *drill_owner(policy))


def _whose(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 5 else f"{', '.join(names[:5])} and {len(names) - 5} more"


async def _jira(settings: Settings, policy: Policy) -> list[Answer]:
    asked: dict[bytes, list[str]] = defaultdict(list)
    for owner in _owners(policy):
        project = owner.project or policy.routing.project
        kind = owner.issue_type or policy.routing.issue_type
        priorities = sorted({**policy.routing.priorities, **owner.priorities}.values())
        asked[msgspec.json.encode((project, kind, owner.fields, priorities), order="sorted")].append(owner.name)
    wire = jira_wire.Wire(
        settings.jira_url, settings.jira_user, settings.jira_token,
        cloud=settings.jira_cloud, timeout_s=settings.call_timeout_s,
    )  # fmt: skip
    said: list[Answer] = []
    try:
        for key, names in asked.items():
            project, kind, fields, priorities = msgspec.json.decode(key)
            found = await jira_preflight.preflight(wire, project, kind, fields, priorities=priorities)
            what = f"Jira {project}, {kind}, for {_whose(names)}"
            said += [{"what": f"{what}: {one.what}", "ok": one.ok, "says": one.says} for one in found]
    finally:
        await wire.close()
    return said


async def _slack(settings: Settings, policy: Policy) -> list[Answer]:
    """Every channel and everybody who is mentioned, once, with the owners that name them."""
    channels: dict[str, list[str]] = defaultdict(list)
    mentions: dict[str, list[str]] = defaultdict(list)
    for owner in _owners(policy):
        channels[owner.channel or policy.routing.channel].append(owner.name)
        for place in (owner, *(owner.escalation or policy.escalation)):
            channels[place.channel or owner.channel or policy.routing.channel].append(owner.name)
            for name in _named(place):
                mentions[name].append(owner.name)
    for rota in policy.rotas:
        for person in rota.people:
            mentions[person].append(f"rota {rota.name}")
    tokens = [settings.slack_token, *([settings.slack_app_token] if settings.slack_app_token else [])]
    wires = [slack_wire.Wire(settings.slack_url, token, timeout_s=settings.call_timeout_s) for token in tokens]
    try:
        app = wires[1] if len(wires) > 1 else None
        found = await slack_preflight.preflight(wires[0], [*channels], [*mentions], app=app)
    finally:
        for wire in wires:
            await wire.close()
    whose = {f"channel {name}": names for name, names in channels.items()}
    whose |= {f"mention {name}": names for name, names in mentions.items()}
    return [{"what": _what(one.what, whose), "ok": one.ok, "says": one.says} for one in found]


async def _schedules(settings: Settings, policy: Policy) -> list[Answer]:
    """Who is on call on PagerDuty's schedules, and whether Slack knows them."""
    names = [name for name in oncalls.asked(policy) if name.startswith("pagerduty:")]
    duty = on_call(settings, policy)
    try:
        found = [(name, await duty.who(name)) for name in names]
    finally:
        await duty.close()
    nobody = (
        "nobody, or it could not be asked: TOCSIN_PAGERDUTY_TOKEN, the schedule's id, the person's address in Slack"
    )
    return [{"what": f"on call {name}", "ok": who is not None, "says": who or nobody} for name, who in found]


def _what(what: str, whose: dict[str, list[str]]) -> str:
    return f"Slack {what} for {_whose([*dict.fromkeys(whose[what])])}" if what in whose else f"Slack {what}"


def _named(place: Owner | Level) -> list[str]:
    """Whom a page there mentions, as far as Slack knows them."""
    kind, _, name = place.oncall.partition(":")
    asked = [name] if kind in ("group", "email") and name else []
    return [*asked, *([place.mention] if place.mention else [])]
