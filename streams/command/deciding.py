"""`tocsin outcome`: decisions that wait for somebody to stand by them."""

from __future__ import annotations

from typing import Any

import rich_click as click

from . import desk


@click.group()
def outcome() -> None:
    """What people decided in bulk or under pressure: it counts for evaluators once somebody stands by it."""


@outcome.command()
@desk.shared
def waiting(url: str | None, as_json: bool) -> None:
    """Decisions that wait, one a line.

    0 done, 4 Tocsin could not be reached.

    Example: tocsin outcome waiting
    """
    answered = desk.api(url).get("outcomes")
    rows = (answered.document or {}).get("outcomes", ())
    desk.ended(answered, "\n".join(_line(row) for row in rows) or "None.", as_json=as_json)


@outcome.command()
@click.argument("incidents", nargs=-1, required=True, metavar="INCIDENT...")
@desk.signed
def confirm(incidents: tuple[str, ...], actor: str, url: str | None, as_json: bool) -> None:
    """Stand by what was decided. What somebody said whose release it holds up takes a second person.

    0 done, 2 it takes another person, 3 the token is missing or wrong, 4 Tocsin could not be reached,
    5 none of them waits for anybody.

    Example: tocsin outcome confirm v1:tool.repeated_error:0123456789abcdef#1
    """
    answered = desk.api(url).post("outcomes", "confirm", incidents=list(incidents), actor=actor, source="command")
    found = (answered.document or {}).get("confirmed", ())
    desk.ended(answered, "\n".join(f"confirmed: {desk.plain(one)}" for one in found), as_json=as_json)


def _line(row: dict[str, Any]) -> str:
    why = "under pressure" if row.get("pressed") else "in bulk"
    return desk.plain("  ".join(str(row.get(name, "")) for name in ("incident", "outcome", "actor", "at")) + f"  {why}")
