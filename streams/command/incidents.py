"""`tocsin incidents`: what is open, who is on it, how it ended, what is part of what."""

from __future__ import annotations

from typing import Any, get_args

import rich_click as click

from ..learn.outcomes.said import dated
from ..records import Cause, FalseWhy, OutcomeValue, Severity
from . import desk

STAGES = ("active", "open", "acknowledged", "mitigated", "resolved", "closed", "merged")
SHOWN = ("title", "id", "severity", "stage", "owner", "first_seen", "last_seen", "count", "ticket", "ticket_url")
MORE = ("parent", "acknowledged_by", "assigned_to", "level", "outcome", "fixed_in", "resolved_by", "held", "apart")


@click.group()
def incidents() -> None:
    """Incidents, and what people say to them."""


@incidents.command("list")
@click.option("--stage", type=click.Choice(STAGES), default="active", show_default=True)
@click.option("--agent", help="Only this agent's.")
@click.option("--owner", help="Only this owner's.")
@click.option("--severity", type=click.Choice(get_args(Severity)))
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True, help="The newest so many.")
@desk.shared
def list_(url: str | None, as_json: bool, **wanted: Any) -> None:
    """The newest incidents, one a line.

    0 done, 4 Tocsin could not be reached.

    Example: tocsin incidents list --agent billing-bot --severity critical
    """
    answered = desk.api(url).get("incidents", **wanted)
    rows = (answered.document or {}).get("incidents", ())
    desk.ended(answered, "\n".join(_line(row) for row in rows) or "None.", as_json=as_json)


@incidents.command()
@click.argument("incident")
@desk.shared
def show(incident: str, url: str | None, as_json: bool) -> None:
    """One incident, what people are owed for it, and whether they got it.

    0 done, 4 Tocsin could not be reached, 5 there is none of this id.

    Example: tocsin incidents show v1:tool.repeated_error:0123456789abcdef#1
    """
    answered = desk.api(url).get("incidents", incident)
    desk.ended(answered, "\n".join(_shown(answered.document or {})), as_json=as_json)


@incidents.command()
@click.argument("incident")
@desk.signed
def ack(incident: str, actor: str, url: str | None, as_json: bool) -> None:
    """Say that you are on it: nobody else is told.

    0 done, 3 the token is missing or wrong, 4 Tocsin could not be reached, 5 there is none of this id.

    Example: tocsin incidents ack v1:tool.repeated_error:0123456789abcdef#1
    """
    _say(incident, "acknowledge", url, as_json=as_json, actor=actor)


@incidents.command()
@click.argument("incident")
@click.option("--to", required=True, help="A person, as your people write the name.")
@desk.signed
def assign(incident: str, to: str, actor: str, url: str | None, as_json: bool) -> None:
    """Give it to somebody: it counts as acknowledged.

    0 done, 2 wrong values, 3 the token is missing or wrong, 4 Tocsin could not be reached, 5 there is none of this id.

    Example: tocsin incidents assign v1:tool.repeated_error:0123456789abcdef#1 --to ada
    """
    _say(incident, "assign", url, as_json=as_json, actor=actor, to=to)


@incidents.command()
@click.argument("incident")
@click.argument("outcome", type=click.Choice(get_args(OutcomeValue)))
@click.option("--fixed-in", help="The release that has the fix, or `next`; with `fixed`.")
@click.option("--cause", type=click.Choice(get_args(Cause)), help="With `fixed`.")
@click.option("--why", type=click.Choice(get_args(FalseWhy)), help="With `false_positive`.")
@click.option("--until", help="A day, 90 days ahead at most; with `accepted_risk`.")
@click.option("--review", help="A day to look at it again, within 180 days; with `wont_fix`.")
@click.option("--provider", help="Whose fault it was; with `external_cause`.")
@click.option("--of", "duplicate_of", help="The original: a ticket or an incident; with `duplicate`.")
@click.option("--reason", help="Why; everybody can read it.")
@click.option("--reopen", is_flag=True, help="Take the decision back: it is open again.")
@desk.signed
def decide(incident: str, outcome: str, **given: Any) -> None:
    """Say how it ended. The last decision wins.

    0 done, 2 wrong values, 3 the token is missing or wrong, 4 Tocsin could not be reached, 5 there is none of this id.

    Example: tocsin incidents decide v1:tool.repeated_error:0123456789abcdef#1 fixed --fixed-in 2026.11.2
    """
    said = {"outcome": outcome, "reopened": given["reopen"] or None}
    said |= {name: given[name] for name in ("actor", "fixed_in", "reason", "cause", "why", "provider", "duplicate_of")}
    said |= {"expires_at": _day(given["until"]), "review_at": _day(given["review"])}
    _say(incident, "outcome", given["url"], as_json=given["as_json"], **said)


@incidents.command()
@click.argument("incident")
@click.option("--reason", help="Why; everybody can read it.")
@desk.signed
def split(incident: str, reason: str | None, actor: str, url: str | None, as_json: bool) -> None:
    """Say that it is no part of the incident that speaks for it. Remembered: no group puts it there again.

    0 done, 3 the token is missing or wrong, 4 Tocsin could not be reached, 5 there is none of this id.

    Example: tocsin incidents split v1:tool.repeated_error:0123456789abcdef#1 --reason "another cause"
    """
    _say(incident, "split", url, as_json=as_json, actor=actor, reason=reason)


@incidents.command()
@click.argument("incident")
@click.option("--into", required=True, help="The id of the incident that speaks for it from now on.")
@click.option("--reason", help="Why; everybody can read it.")
@desk.signed
def merge(incident: str, into: str, **given: Any) -> None:
    """Say which incident it is part of: its ticket is closed as a duplicate, and it ends as that one does.

    0 done, 2 that one cannot speak for it, 3 the token is missing or wrong, 4 Tocsin could not be reached,
    5 there is none of this id.

    Example: tocsin incidents merge v1:tool.repeated_error:0123456789abcdef#1 --into v1:tool.dependency:fedcba#1
    """
    said = {"parent": into, "actor": given["actor"], "reason": given["reason"]}
    _say(incident, "merge", given["url"], as_json=given["as_json"], **said)


def _day(text: str | None) -> str | None:
    """It lasts until its end."""
    if text is None:
        return None
    day = dated(text)
    if day is None:
        raise click.UsageError(f"{text} is not a day like 2026-10-31")
    return day.isoformat()


def _say(incident: str, what: str, url: str | None, *, as_json: bool, **body: Any) -> None:
    answered = desk.api(url).post("incidents", incident, what, source="command", **body)
    desk.ended(answered, "Written down. The book reads it within a second.", as_json=as_json)


def _line(row: dict[str, Any]) -> str:
    words = (row.get(name, "") for name in ("id", "severity", "stage", "owner", "ticket", "title"))
    return desk.plain("  ".join(str(word) for word in words if word))


def _shown(document: dict[str, Any]) -> list[str]:
    one = document.get("incident", {})
    found = [f"{name}: {desk.plain(_text(one[name]))}" for name in (*SHOWN, *MORE) if one.get(name)]
    for owed in document.get("obligations", ()):
        why = f" ({owed['why']})" if owed.get("why") else ""
        found.append(desk.plain(f"{owed.get('kind')} to {owed.get('destination')}: {owed.get('state')}{why}"))
    return found


def _text(value: object) -> str:
    return ", ".join(str(one) for one in value) if isinstance(value, list) else str(value)
