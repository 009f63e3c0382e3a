"""`tocsin silence`, `maintenance`, `rollout`: what people do not want to hear of for a while."""

from __future__ import annotations

from typing import Any, NoReturn

import rich_click as click

from ..apicall import DONE, Answered
from . import desk
from .gate import Duration


@click.group()
def silence() -> None:
    """Hide incidents from people for a while. Gates hear of them as ever."""


@click.group()
def maintenance() -> None:
    """A window in which trouble is expected: hidden within its scope, never without an end."""


@click.group()
def rollout() -> None:
    """A controlled rollout, begun and ended by a pipeline: people are not woken by it, gates are."""


@silence.command()
@click.argument("matchers", nargs=-1, required=True)
@click.option("--for", "for_s", type=Duration(), help="How long: 30m, 2h.")
@click.option("--until", help="Until when instead, with its offset: 2026-11-21T18:00:00+01:00.")
@click.option("--reason", required=True, help="Why; everybody can read it.")
@desk.signed
def add(matchers: tuple[str, ...], for_s: float | None, until: str | None, **given: Any) -> None:
    """Silence what has all of MATCHERS (name=value; * and ? stand for anything). Prints the silence's id.

    Names: agent, dependency, detector, environment, fingerprint, incident, owner, release, severity.
    A warning on stderr says if a critical incident is hidden.

    0 done, 2 wrong usage or values, 3 the token is missing or wrong, 4 Tocsin could not be reached.

    Example: tocsin silence add agent=billing-* severity=high --for 2h --reason "load test"
    """
    _begin("silence", _parsed(matchers), {"for_s": for_s, "until": until}, given)


@silence.command("list")
@click.option("--active", is_flag=True, help="Only those that hide something now or may.")
@desk.shared
def list_(active: bool, url: str | None, as_json: bool) -> None:
    """Every silence, window and rollout there was, with what it hides now.

    0 done, 4 Tocsin could not be reached.

    Example: tocsin silence list --active
    """
    answered = desk.api(url).get("silences", active="true" if active else None)
    rows = (answered.document or {}).get("silences", ())
    desk.ended(answered, "\n".join(_line(row) for row in rows) or "None.", as_json=as_json)


def ending(kind: str) -> click.Command:
    @click.argument("name", metavar="ID")
    @desk.signed
    def command(name: str, actor: str, url: str | None, as_json: bool) -> None:
        answered = desk.api(url).post("silences", name, "end", actor=actor)
        desk.ended(answered, f"ended {desk.plain(name)}", as_json=as_json)

    command.__doc__ = f"""End it now: what it hid and is still seen is told.

    0 done (also if it was over), 2 wrong usage, 3 the token is missing or wrong, 4 Tocsin could not be reached,
    5 there is none of this id.

    Example: tocsin {kind} end {kind[0]}-0123456789abcdef
    """
    return click.command("end")(command)


def begin(kind: str) -> click.Command:
    @click.option("--agent", help="Whose trouble is expected; a glob.")
    @click.option("--environment", help="Where; a glob.")
    @click.option("--owner", help="Whose; a glob.")
    @click.option("--release", help="Only what is seen in this release alone; a glob.")
    @click.option(
        "--for", "for_s", type=Duration(), required=True, help="It ends by then, whoever forgets to: 30m, 2h."
    )
    @click.option("--reason", required=True, help="Why; everybody can read it.")
    @desk.signed
    def command(for_s: float, **given: Any) -> None:
        matchers = {name: given.pop(name) for name in ("agent", "environment", "owner", "release")}
        _begin(kind, {name: value for name, value in matchers.items() if value}, {"for_s": for_s}, given)

    command.__doc__ = f"""Begin it. Prints its id, for `tocsin {kind} end`. Needs --agent, --environment or --owner.

    0 done, 2 wrong usage or values, 3 the token is missing or wrong, 4 Tocsin could not be reached.

    Example: id=$(tocsin {kind} begin --agent billing-bot --environment prod --for 30m --reason "release 8")
    """
    return click.command("begin")(command)


def _begin(kind: str, matchers: dict[str, str], when: dict[str, Any], given: dict[str, Any]) -> NoReturn:
    source = "command" if kind == "silence" else "ci"
    said = {"matchers": matchers, "reason": given["reason"], "actor": given["actor"], "kind": kind, "source": source}
    answered: Answered = desk.api(given["url"]).post("silences", **said, **when)
    document = answered.document or {}
    if answered.code == DONE and document.get("warning"):
        click.echo(desk.plain(document["warning"]), err=True)
    desk.ended(answered, str(document.get("id", "")), as_json=given["as_json"])


def _parsed(matchers: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in matchers:
        name, equals, value = one.partition("=")
        if not equals:
            raise click.UsageError(f"{one!r} is no matcher; write name=value")
        if name in found:
            raise click.UsageError(f"{name} is there twice, and all matchers must match; make two silences")
        found[name] = value
    return found


def _line(row: dict[str, Any]) -> str:
    state = "active" if row.get("active") else "ended"
    matchers = " ".join(f"{name}={value}" for name, value in row.get("matchers", {}).items())
    until = row.get("ended_at") or row.get("until")
    words = (row.get("id"), state, row.get("kind"), f"until {until}", f"hides {row.get('hides')}", matchers)
    return desk.plain("  ".join(str(word) for word in (*words, row.get("reason"))))


silence.add_command(ending("silence"))
for _group, _kind in ((maintenance, "maintenance"), (rollout, "rollout")):
    _group.add_command(begin(_kind))
    _group.add_command(ending(_kind))
