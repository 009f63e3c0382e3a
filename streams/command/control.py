"""`tocsin control`: hold running agents back, let them go, see what they are told."""

from __future__ import annotations

import json
import sys
import time
from typing import Any, NoReturn

import rich_click as click

from ..apicall import DONE, UNREACHABLE
from . import desk
from .gate import Duration

WATCH_S = 5.0  # less than a call may take
AGAIN_S = 2.0


@click.group()
def control() -> None:
    """What running agents may do: pause, throttle, deny a tool, stop, release."""


def scoped(command: Any) -> Any:
    """Whom it is about."""
    command = click.option("--all", "everybody", is_flag=True, help="All agents.")(command)
    command = click.option("--tenant", help="Whoever works for this tenant.")(command)
    command = click.option("--tool", help="This tool; with --agent of that agent, without of all.")(command)
    command = click.option("--release", help="One release of --agent.")(command)
    return click.option("--agent", help="One agent.")(command)


def held(command: Any) -> Any:
    """Why, and for how long."""
    command = click.option("--reason", required=True, help="Why; everybody can read it.")(command)
    command = click.option("--until", help="Until when, with its offset: 2026-11-21T18:00:00+01:00.")(command)
    command = click.option("--for", "for_s", type=Duration(), help="How long: 30m, 2h. Default: until released.")(
        command
    )
    return scoped(desk.signed(command))


@control.command()
@held
def pause(**given: Any) -> None:
    """No session goes on: the next call of a model or tool raises AgentHalted.

    0 done, 2 wrong usage or values, 3 the token is missing or wrong, 4 Tocsin could not be reached.

    Example: tocsin control pause --agent support-bot --release 2026.11.2 --for 1h --reason "deletes mail"
    """
    _ask("pause", given)


@control.command()
@click.option("--share", type=click.FloatRange(1, 99), help="Percent of the sessions; default: as the policy says.")
@held
def throttle(share: float | None, **given: Any) -> None:
    """A share of the sessions is held back, always the same ones.

    0 done, 2 wrong usage or values, 3 the token is missing or wrong, 4 Tocsin could not be reached.

    Example: tocsin control throttle --agent support-bot --share 30 --reason "provider is slow"
    """
    _ask("throttle", given, ratio=share / 100 if share else None)


@control.command("deny-tool")
@click.argument("tools", nargs=-1, required=True)
@held
def deny_tool(tools: tuple[str, ...], **given: Any) -> None:
    """TOOLS of an agent, a release, a tenant or of --all are refused; sessions go on.

    0 done, 2 wrong usage or values, 3 the token is missing or wrong, 4 Tocsin could not be reached.

    Example: tocsin control deny-tool refund.create --agent support-bot --reason "wrong amounts"
    """
    if given["tool"]:
        raise click.UsageError("name the tools as arguments, without --tool")
    if given["agent"] and not given["release"] and len(tools) == 1:
        _ask("deny_tool", {**given, "tool": tools[0]})
    _ask("deny_tool", given, tools=list(tools))


@control.command("force-open")
@held
def force_open(**given: Any) -> None:
    """Stop hard: as pause, and no trial opens it.

    0 done, 2 wrong usage or values, 3 the token is missing or wrong, 4 Tocsin could not be reached.

    Example: tocsin control force-open --all --reason "leaked key"
    """
    _ask("force_open", given)


@control.command()
@click.option("--reason", default="released by hand", show_default=True, help="Why; everybody can read it.")
@scoped
@desk.signed
def release(**given: Any) -> None:
    """Whatever holds this scope back ends. What detectors asked for is not asked for again by the same incident.

    0 done (also if nothing held it), 2 wrong usage, 3 the token is missing or wrong, 4 Tocsin could not be reached.

    Example: tocsin control release --agent support-bot
    """
    _ask("close", {**given, "for_s": None, "until": None})


@control.command("list")
@desk.shared
def list_(url: str | None, as_json: bool) -> None:
    """What agents are told now.

    0 done, 4 Tocsin could not be reached.

    Example: tocsin control list
    """
    answered = desk.api(url).get("controls")
    desk.ended(answered, _table(answered.document or {}), as_json=as_json)


@control.command()
@desk.shared
def watch(url: str | None, as_json: bool) -> None:
    """What agents are told, again whenever it changes; until interrupted.

    4 Tocsin could not be reached.

    Example: tocsin control watch
    """
    api, since = desk.api(url), None
    while True:
        answered = api.get("controls", since=since, wait=None if since is None else WATCH_S)
        document = answered.document or {}
        if answered.code == UNREACHABLE and since is not None:
            time.sleep(AGAIN_S)
            continue
        if answered.code != DONE:
            desk.ended(answered, "", as_json=as_json)
        if document.get("seq") != since:
            since = document.get("seq")
            _show(document, as_json=as_json)


def _show(document: dict[str, Any], *, as_json: bool) -> None:
    click.echo(json.dumps(document) if as_json else _table(document))
    sys.stdout.flush()


def _ask(want: str, given: dict[str, Any], **more: Any) -> NoReturn:
    said = {"reason": given["reason"], "actor": given["actor"], "for_s": given["for_s"], "until": given["until"]}
    body = {"scope": _scope(given), "want": want, "source": "command", **said, **more}
    answered = desk.api(given["url"]).post("controls", **body)
    document = answered.document or {}
    share = document.get("affected")
    of = "an unknown share" if share is None else f"{share:.0%}"
    what = "released" if want == "close" else f"{want.replace('_', ' ')} asked"
    text = f"{desk.plain(document.get('scope'))}: {what}; it concerns {of} of the agent's sessions of the last hour"
    desk.ended(answered, text, as_json=given["as_json"])


def _scope(given: dict[str, Any]) -> dict[str, str]:
    agent, of_release, tool, tenant = (given[name] or "" for name in ("agent", "release", "tool", "tenant"))
    chosen = [name for name in ("release", "tool", "tenant", "everybody") if given[name]]
    if len(chosen) > 1 or (agent and chosen and chosen[0] in ("tenant", "everybody")):
        raise click.UsageError("say whom once: --agent, --agent with --release or --tool, --tool, --tenant, or --all")
    if of_release and not agent:
        raise click.UsageError("--release needs its --agent")
    if given["everybody"]:
        return {"kind": "global"}
    if tenant:
        return {"kind": "tenant", "id": tenant}
    if of_release:
        return {"kind": "release", "agent": agent, "id": of_release}
    if tool:
        return {"kind": "agent_tool", "agent": agent, "id": tool} if agent else {"kind": "tool", "id": tool}
    if not agent:
        raise click.UsageError("say whom: --agent, --tool, --tenant, or --all")
    return {"kind": "agent", "agent": agent}


def _table(document: dict[str, Any]) -> str:
    lines = [_line(one) for one in document.get("controls", ())]
    stale = ["The controller is silent: leases end by themselves, nothing new reaches agents."]
    return "\n".join([*(stale if document.get("stale") else []), *(lines or ["Nothing is held back."])])


def _line(one: dict[str, Any]) -> str:
    scope, ratio = one.get("scope", {}), one.get("ratio")
    whom = " ".join(str(scope[name]) for name in ("kind", "agent", "id") if scope.get(name))
    denied = ", ".join(one.get("limits", {}).get("tool_deny", ()))
    what = f"denies {denied}" if denied else f"{ratio:.0%}" if ratio is not None else "all"
    until = f"until {one['not_after']}" if one.get("not_after") else "until released"
    return desk.plain(
        "  ".join((whom, str(one.get("state")), what, until, one.get("actor") or "detector", one.get("reason", "")))
    )
