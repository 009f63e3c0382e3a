"""`tocsin gate override`, `freeze`: what people take upon themselves, and when nothing is to be promoted."""

from __future__ import annotations

from typing import Any

import rich_click as click

from . import desk
from .durations import Duration


@click.group()
def override() -> None:
    """Set named reasons of a gate aside for exactly one release, for a while. Evidence stays as it is."""


@override.command("ask")
@click.option("--agent", required=True)
@click.option("--release", required=True, help="Exactly; no alias.")
@click.option("--environment", default="prod", show_default=True)
@click.option("--gate", default="promotion", show_default=True)
@click.option("--covers", "reasons", multiple=True, required=True, help="An incident's id, or a rule. Repeatable.")
@click.option("--reason", required=True, help="Why, in 20 characters at least.")
@click.option("--for", "for_s", type=Duration(), help="How long: 2h. Default: what the policy says, 24h.")
@click.option("--until", "expires_at", help="Until when instead, with its offset: 2026-11-21T18:00:00+01:00.")
@click.option("--ticket", default="", help="Where it was agreed.")
@click.option("--single-use", is_flag=True, help="It counts for one answer.")
@desk.signed
def ask(url: str | None, as_json: bool, **given: Any) -> None:
    """Ask for one. It does nothing until it is approved; its id is printed.

    Rules: regression_case, regression_vs_stable, objective, freeze, trust, fix_unverified, insufficient.

    0 asked, 2 wrong usage or refused in words, 3 the token is missing or wrong, 4 Tocsin could not be reached,
    5 unknown gate.

    Example: tocsin gate override ask --agent support-bot --release 2026.11.2 --covers insufficient --for 2h
    --reason "hotfix for the refund outage, see OPS-7"
    """
    answered = desk.api(url).post("overrides", **{**given, "reasons": list(given["reasons"])})
    document = answered.document or {}
    if document.get("second_person"):
        click.echo("A second person has to approve it.", err=True)
    desk.ended(answered, desk.plain(document.get("id", "")), as_json=as_json)


@override.command()
@click.argument("name", metavar="ID")
@desk.signed
def approve(name: str, actor: str, url: str | None, as_json: bool) -> None:
    """Approve what somebody asked for. What is critical or breaks a freeze takes somebody else than who asked.

    0 done, 2 refused in words, 3 the token is missing or wrong, 4 Tocsin could not be reached, 5 there is none of this id.

    Example: tocsin gate override approve o-0123456789abcdef --actor grace
    """
    answered = desk.api(url).post("overrides", name, "approve", actor=actor)
    desk.ended(answered, f"approved {desk.plain(name)}", as_json=as_json)


@override.command("end")
@click.argument("name", metavar="ID")
@desk.signed
def end_override(name: str, actor: str, url: str | None, as_json: bool) -> None:
    """End it now: the gate answers as if there had been none.

    0 done, 3 the token is missing or wrong, 4 Tocsin could not be reached, 5 there is none of this id.

    Example: tocsin gate override end o-0123456789abcdef
    """
    answered = desk.api(url).post("overrides", name, "end", actor=actor)
    desk.ended(answered, f"ended {desk.plain(name)}", as_json=as_json)


@click.command()
@click.option("--active", is_flag=True, help="Only those that are not over.")
@click.option("--review", is_flag=True, help="How often, how soon, and what came of it, by gate and by rule.")
@click.option("--days", type=click.IntRange(1, 365), default=30, show_default=True, help="What --review looks back at.")
@desk.shared
def overrides(active: bool, review: bool, days: int, url: str | None, as_json: bool) -> None:
    """Overrides and what became of each, or their review.

    0 done, 4 Tocsin could not be reached.

    Example: tocsin gate overrides --review
    """
    if review:
        answered = desk.api(url).get("reviews", "overrides", days=days)
        desk.ended(answered, _reviewed(answered.document or {}), as_json=as_json)
    answered = desk.api(url).get("overrides", active="true" if active else None)
    rows = (answered.document or {}).get("overrides", ())
    desk.ended(answered, "\n".join(_line(row) for row in rows) or "None.", as_json=as_json)


@click.command()
@click.option("--from", "begins", help="2026-12-20T18:00, with an offset or in --timezone.")
@click.option("--until", "ends", help="2027-01-04T08:00; a freeze without an end there is not.")
@click.option("--timezone", default="", help="Of edges without an offset: Europe/Berlin.")
@click.option("--reason", help="Why; whoever is held reads it.")
@click.option("--agent", "agents", multiple=True, default=["*"], show_default=True, help="A glob. Repeatable.")
@click.option("--environment", "environments", multiple=True, default=["*"], show_default=True, help="A glob.")
@click.option("--exempt", type=click.Choice(["fixes", "none"]), default="fixes", show_default=True)
@click.option("--end", "ended", metavar="ID", help="End this one now, instead.")
@desk.signed
def freeze(ended: str | None, url: str | None, as_json: bool, actor: str, **given: Any) -> None:
    """Between two moments nothing is promoted. A rollback is never blocked. Prints the freeze's id.

    Releases that declare what they fix go on, unless --exempt none.

    0 done, 2 wrong usage or refused in words, 3 the token is missing or wrong, 4 Tocsin could not be reached, 5 unknown.

    Example: tocsin gate freeze --from 2026-12-20T18:00 --until 2027-01-04T08:00 --timezone Europe/Berlin
    --reason "holidays"
    """
    if ended:
        answered = desk.api(url).post("freezes", ended, "end", actor=actor)
        desk.ended(answered, f"ended {desk.plain(ended)}", as_json=as_json)
    missing = [
        f"--{name}" for name, key in (("from", "begins"), ("until", "ends"), ("reason", "reason")) if not given[key]
    ]
    if missing:
        raise click.UsageError(f"{', '.join(missing)} missing: both edges and why are said, never guessed")
    lists = {name: list(given[name]) for name in ("agents", "environments")}
    answered = desk.api(url).post("freezes", actor=actor, **{**given, **lists})
    desk.ended(answered, desk.plain((answered.document or {}).get("id", "")), as_json=as_json)


@click.command()
@click.option("--active", is_flag=True, help="Only those that are not over.")
@desk.shared
def freezes(active: bool, url: str | None, as_json: bool) -> None:
    """Freezes: ahead, active, over.

    0 done, 4 Tocsin could not be reached.

    Example: tocsin gate freezes --active
    """
    answered = desk.api(url).get("freezes", active="true" if active else None)
    rows = (answered.document or {}).get("freezes", ())
    desk.ended(answered, "\n".join(_frozen(row) for row in rows) or "None.", as_json=as_json)


def _line(row: dict[str, Any]) -> str:
    one = row["override"]
    who = f"{one['requested_by']}, approved by {one['approved_by']}" if one.get("approved_by") else one["requested_by"]
    about = f"{one['gate']} {one['agent']}@{one['release']} in {one['environment']}"
    return desk.plain(
        f"{one['id']}  {row['state']:<8} {about}  until {one['expires_at']}  covers {', '.join(one['reasons'])}"
        f"  {who}: {one['reason']}"
    )


def _frozen(row: dict[str, Any]) -> str:
    one = row["freeze"]
    scope = f"{', '.join(one.get('agents', ['*']))} in {', '.join(one.get('environments', ['*']))}"
    return desk.plain(
        f"{one['id']}  {row['state']:<6} {one['begins']} until {one['ends']}  {scope}  {one['actor']}: {one['reason']}"
    )


def _reviewed(found: dict[str, Any]) -> str:
    lines = [f"The last {found.get('days')} days"]
    for one in found.get("gates", ()):
        median = "nothing" if one.get("median_s") is None else f"{one['median_s'] / 60:.0f} min"
        lines.append(
            f"{one['gate']}: {one['overrides']} overrides, {one['followed_by_incident']} followed by an incident"
            f" ({one['share']:.0%}), median {median} from block to override"
        )
    for one in found.get("rules", ()):
        proposal = f": {one['proposal']}" if one.get("proposal") else ""
        lines.append(
            f"  {one['rule']}: {one['overridden']} of {one['blocked']} overridden ({one['share']:.0%}){proposal}"
        )
    return "\n".join(desk.plain(line) for line in lines)
