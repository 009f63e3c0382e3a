"""`tocsin case`: what once went wrong, what is expected since, and how to run it elsewhere."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import msgspec
import rich_click as click

from ..apicall import DONE
from ..learn.cases import exporting
from ..records import RegressionCase
from . import desk

SHOWN = (
    "id",
    "state",
    "agent",
    "title",
    "observed",
    "expectation",
    "input",
    "incident",
    "ticket",
    "fixed_in",
    "author",
)
FORMATS = {"jsonl": exporting.jsonl, "promptfoo": exporting.promptfoo}


@click.group()
def case() -> None:
    """Regression cases: made of what people decided, drafts until somebody says what is expected."""


def narrowed(command: Any) -> Any:
    command = click.option("--ready", "state", flag_value="ready", help="Only those with an expectation.")(command)
    command = click.option("--release", help="Only those that this release is said to have fixed.")(command)
    return click.option("--agent", help="Only this agent's.")(command)


@case.command("list")
@narrowed
@desk.shared
def list_(url: str | None, as_json: bool, **wanted: Any) -> None:
    """Regression cases, one a line.

    0 done, 4 Tocsin could not be reached.

    Example: tocsin case list --agent billing-bot --ready
    """
    answered = desk.api(url).get("cases", limit=200, **wanted)
    rows = (answered.document or {}).get("cases", ())
    desk.ended(answered, "\n".join(_line(row) for row in rows) or "None.", as_json=as_json)


@case.command()
@click.argument("name", metavar="ID")
@desk.shared
def show(name: str, url: str | None, as_json: bool) -> None:
    """One case, and how each release did.

    0 done, 4 Tocsin could not be reached, 5 there is none of this id.

    Example: tocsin case show case-0123456789abcdef0123
    """
    answered = desk.api(url).get("cases", name)
    document = answered.document or {}
    one = document.get("case", {})
    lines = [f"{key}: {desk.plain(one[key])}" for key in SHOWN if one.get(key)]
    scores = document.get("scores", ())
    lines += [desk.plain(f"{s['release']}: {s['state']}, {s['passes']} of {s['runs']} runs") for s in scores]
    desk.ended(answered, "\n".join(lines), as_json=as_json)


@case.command()
@click.argument("name", metavar="ID")
@click.argument("expectation")
@click.option("--input", help="What the agent is given; secrets leave it.")
@desk.signed
def expect(name: str, expectation: str, **given: Any) -> None:
    """Say what is expected: from then on the case counts.

    A line may be an assertion of promptfoo's (contains: refund); the rest is for a judge to read.

    0 done, 2 wrong values, 3 the token is missing or wrong, 4 Tocsin could not be reached, 5 there is none of this id.

    Example: tocsin case expect case-0123456789abcdef0123 "asks for the order's number before it refunds"
    """
    written = {"actor": given["actor"], "expectation": expectation, "input": given["input"]}
    _write(name, given["url"], as_json=given["as_json"], **written)


@case.command()
@click.argument("name", metavar="ID")
@desk.signed
def retire(name: str, actor: str, url: str | None, as_json: bool) -> None:
    """Run it no longer. Saying what is expected brings it back.

    0 done, 3 the token is missing or wrong, 4 Tocsin could not be reached, 5 there is none of this id.

    Example: tocsin case retire case-0123456789abcdef0123
    """
    _write(name, url, as_json=as_json, actor=actor, retired=True)


@case.command()
@click.option("--format", "form", type=click.Choice(tuple(FORMATS)), default="jsonl", show_default=True)
@narrowed
@click.option("--url", help="Where Tocsin's pages are; default from TOCSIN_WEB_URL or TOCSIN_WEB_HOST and _PORT.")
def export(form: str, url: str | None, **wanted: Any) -> None:
    """Every case that is not retired, on standard output; promptfoo's tests have an expectation, each.

    0 done, 4 Tocsin could not be reached.

    Example: tocsin case export --format promptfoo --ready --agent billing-bot
    """
    found: list[RegressionCase] = []
    after: str | None = ""
    while after is not None:
        answered = desk.api(url).get("cases", limit=200, after=after or None, **wanted)
        if answered.code != DONE or answered.document is None:
            desk.ended(answered, "", as_json=False)
        found += msgspec.convert(answered.document.get("cases", []), list[RegressionCase])
        after = answered.document.get("next")
    kept = [one for one in found if one.state != "retired"]
    click.echo(FORMATS[form](kept), nl=False)
    silent = sum(not one.expectation for one in kept)
    if silent and form == "promptfoo":
        click.echo(f"{silent} without an expectation left out: tocsin case expect", err=True)
    sys.exit(DONE)


def _write(name: str, url: str | None, *, as_json: bool, **body: Any) -> NoReturn:
    answered = desk.api(url).post("cases", name, source="command", **body)
    desk.ended(answered, "Written down.", as_json=as_json)


def _line(row: dict[str, Any]) -> str:
    words = (row.get(name, "") for name in ("id", "state", "agent", "fixed_in", "title"))
    return desk.plain("  ".join(str(word) for word in words if word))
