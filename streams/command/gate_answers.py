"""`tocsin gate explain`, `list`, `replay`, `report`: what gates answer, why, and whether it is the same again."""

from __future__ import annotations

import difflib
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import rich_click as click

from ..apicall import DONE, UNKNOWN, Answered, Api
from . import desk
from .durations import Duration

DECISIONS_MAX = 1000


@click.command()
@click.argument("decision", required=False)
@click.option("--agent")
@click.option("--release")
@click.option("--environment", default="prod", show_default=True)
@click.option("--baseline")
@click.option("--gate", default="promotion", show_default=True)
@desk.shared
def explain(decision: str | None, gate: str, url: str | None, as_json: bool, **asked: Any) -> None:
    """Why: each of the thirteen rules, its numbers, and what would change it. Of now, or of a DECISION.

    0 answered, 2 wrong usage, 4 Tocsin could not be reached, 5 there is no such gate or decision.

    Example: tocsin gate explain --agent support-bot --release 2026.11.2
    """
    api = desk.api(url)
    if decision:
        answered = api.get("decisions", decision, "explanation")
    elif asked["agent"] and asked["release"]:
        answered = api.get("gates", gate, "explanation", **asked)
    else:
        raise click.UsageError("say --agent and --release, or which decision")
    desk.ended(answered, _explained(answered.document or {}), as_json=as_json)


@click.command("list")
@desk.shared
def list_(url: str | None, as_json: bool) -> None:
    """What every gate would answer about every release that is known, and since when.

    0 answered, 4 Tocsin could not be reached.

    Example: tocsin gate list
    """
    answered = desk.api(url).get("gates")
    rows = (answered.document or {}).get("gates", ())
    desk.ended(answered, "\n".join(_line(row) for row in rows) or "No release is known yet.", as_json=as_json)


@click.command()
@click.argument("decision", required=False)
@click.option("--since", type=Duration(), help="All of that time: 24h. 1000 at most.")
@desk.shared
def replay(decision: str | None, since: float | None, url: str | None, as_json: bool) -> None:
    """Make stored decisions again from what was stored with them, and compare to the byte.

    0 all the same, 1 one differs (what differs is printed), 2 wrong usage, 4 Tocsin could not be reached,
    5 there is no such decision.

    Example: tocsin gate replay d-0123456789abcdef01234567

    Example: tocsin gate replay --since 24h
    """
    if (decision is None) == (since is None):
        raise click.UsageError("say which decision, or --since")
    api = desk.api(url)
    names = [decision] if decision else _names(api, since or 0.0)
    found = [_replayed(api, name) for name in names]
    there = [one for one in found if one is not None]
    different = [one for one in there if not one["same"]]
    if as_json:
        told = {"replayed": len(there), "different": [one["decision_id"] for one in different]}
        click.echo(json.dumps(told, indent=2))
    else:
        for one in different:
            click.echo("\n".join(_difference(one)))
        click.echo(f"{len(there)} replayed, {len(different)} different")
    sys.exit(1 if different else 0)


@click.command()
@click.option("--days", type=click.IntRange(1, 365), default=30, show_default=True)
@desk.shared
def report(days: int, url: str | None, as_json: bool) -> None:
    """What each gate said of what was deployed: blocked but fine, allowed but bad. Of one in shadow mode: would have said.

    0 answered, 4 Tocsin could not be reached.

    Example: tocsin gate report --days 90
    """
    answered = desk.api(url).get("reviews", "gates", days=days)
    desk.ended(answered, "\n".join(_reported(answered.document or {})), as_json=as_json)


def _explained(found: dict[str, Any]) -> str:
    if "decision" not in found:
        return ""
    decision = found["decision"]
    lines = [
        f"{decision['state']}: {decision['summary']}",
        f"{decision['progress']}. Decision {decision['decision_id']}",
        "",
    ]
    for rule in found["rules"]:
        mark = ">" if rule["decides"] else " "
        lines.append(f"{mark}{rule['number']:>2} {rule['rule']:<21} {_effects(rule)}")
        for reason in rule["reasons"]:
            lines.append(f"      {reason['code']}: {reason['numbers']}")
            lines += [f"        what would change it: {reason['change']}"] if reason["change"] else []
    return "\n".join(desk.plain(line) for line in lines)


def _effects(rule: dict[str, Any]) -> str:
    return ", ".join(dict.fromkeys(reason["effect"] for reason in rule["reasons"])) or "nothing"


def _line(row: dict[str, Any]) -> str:
    since = f"since {row['since']}" if row.get("since") else "just now"
    more = f"  [{row['asked_for']}]" if row.get("asked_for") else ""
    about = f"{row['agent']}@{row['release']} in {row['environment']}"
    return desk.plain(f"{row['state']:<5} {row['gate']} {about}  {since}  {row['progress']}  {row['summary']}{more}")


def _names(api: Api, since_s: float) -> list[str]:
    since = (datetime.now(UTC) - timedelta(seconds=since_s)).isoformat()
    answered = _there(api.get("decisions", since=since, limit=DECISIONS_MAX))
    return [one["decision_id"] for one in answered["decisions"]]


def _replayed(api: Api, name: str) -> dict[str, Any] | None:
    answered = api.get("decisions", name, "replay")
    if answered.code == UNKNOWN:
        click.echo(desk.plain(f"{name}: {answered.message}"), err=True)
        sys.exit(UNKNOWN)
    return _there(answered)


def _there(answered: Answered) -> dict[str, Any]:
    if answered.code != DONE or answered.document is None:
        click.echo(desk.plain(answered.message), err=True)
        sys.exit(answered.code)
    return answered.document


def _difference(one: dict[str, Any]) -> list[str]:
    """As a person compares two documents."""
    was, is_ = (json.dumps(one[name], indent=2, sort_keys=True).splitlines() for name in ("stored", "again"))
    name = one["decision_id"]
    found = list(difflib.unified_diff(was, is_, f"{name} as stored", f"{name} made again", lineterm="", n=1))
    return [desk.plain(line) for line in found] or [f"{desk.plain(name)}: the same values, written differently"]


def _reported(found: dict[str, Any]) -> list[str]:
    lines = [f"Deployed in the last {found.get('days')} days; an incident counts for {found.get('within_days')} days"]
    for one in found.get("gates", ()):
        mode = " (shadow)" if one["shadow"] else ""
        lines.append(
            f"{one['gate']}{mode}: {one['deployed']} deployed, {one['let']} let through, {one['stopped']} held or blocked;"
            f" {one['blocked_but_fine']} blocked but fine, {one['allowed_but_bad']} allowed but bad, {one['waiting']} too young"
        )
    for one in found.get("deployed", ()):
        if one["error"] in ("blocked_but_fine", "allowed_but_bad"):
            where = f"{one['agent']}@{one['release']} in {one['environment']}"
            lines.append(f"  {one['error'].replace('_', ' ')}: {one['gate']} {one['state']} {where} at {one['at']}")
    lines += [
        f"  went past {one['gate']} ({one['state']}): {one['agent']}@{one['release']}, {one['how']} {one['at']}"
        for one in found.get("bypasses", ())
    ]
    return [desk.plain(line) for line in lines]
