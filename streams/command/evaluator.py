"""`tocsin evaluator`: what evaluators may cause and why, grants, labels, and thresholds that are proposed."""

from __future__ import annotations

import json
from typing import Any, BinaryIO

import rich_click as click

from ..apicall import DONE, Answered
from ..records import POWERS
from . import desk

LABELS_MAX = 1000  # of one call
LINES_MAX = 100_000


@click.group()
def evaluator() -> None:
    """What evaluators may cause: shadow, ticket, page, block. Lost by the numbers, earned, block granted by a person."""


@evaluator.command("list")
@desk.shared
def list_(url: str | None, as_json: bool) -> None:
    """Every evaluator, what it may cause, and how often it was right.

    0 done, 4 Tocsin could not be reached.

    Example: tocsin evaluator list
    """
    answered = desk.api(url).get("evaluators")
    rows = (answered.document or {}).get("evaluators", ())
    desk.ended(answered, "\n".join(_line(row) for row in rows) or "None.", as_json=as_json)


@evaluator.command()
@click.argument("name", metavar="ID")
@desk.shared
def show(name: str, url: str | None, as_json: bool) -> None:
    """One evaluator: its numbers, its history, what it would take to gain or lose a step, what it overlooks.

    0 done, 4 Tocsin could not be reached, 5 there is none of this id.

    Example: tocsin evaluator show LLM:grounded@4
    """
    answered = desk.api(url).get("evaluators", _part(name))
    text = "\n".join(desk.plain(line) for line in _shown(answered.document)) if answered.code == DONE else ""
    desk.ended(answered, text, as_json=as_json)


@evaluator.command()
@click.argument("name", metavar="ID")
@click.argument("power", type=click.Choice(POWERS))
@click.option("--reason", required=True, help="Why, in 10 characters or more; everybody can read it.")
@desk.signed
def grant(name: str, power: str, reason: str, **given: Any) -> None:
    """Give it a power, or take one away. A model that judges blocks only if it agrees with itself.

    0 done, 2 wrong usage, 3 the token is missing or wrong, 4 Tocsin could not be reached, 5 there is none of this id.

    Example: tocsin evaluator grant LLM:grounded@4 block --reason "58 decisions, two of them wrong"
    """
    said = {"power": power, "reason": reason, "actor": given["actor"], "source": "command"}
    answered = desk.api(given["url"]).post("evaluators", _part(name), "grant", **said)
    desk.ended(answered, f"{desk.plain(name)} may {power} from now on", as_json=given["as_json"])


@evaluator.command()
@click.argument("name", metavar="ID")
@click.argument("session", required=False)
@click.option("--bad/--good", default=None, help="What you say of the session.")
@click.option("--flagged", is_flag=True, help="The evaluator had flagged it; its audit has those that it passed.")
@click.option(
    "--file", type=click.File("rb"), help='Lines of {"session": …, "bad": …, "flagged": [true, true, false]}.'
)
@desk.signed
def label(name: str, session: str | None, bad: bool | None, flagged: bool, file: BinaryIO | None, **given: Any) -> None:
    """Say of SESSION whether it was bad: of its audit, or a whole set with --file, which counts half.

    `flagged` in a file is what the evaluator said, once for each run: three runs show whether it agrees with itself.

    0 done, 2 wrong usage or values, 3 the token is missing or wrong, 4 Tocsin could not be reached, 5 there is none of
    this id.

    Example: tocsin evaluator label LLM:grounded@4 s-81 --bad
    """
    if (file is None) == (session is None or bad is None):
        raise click.UsageError("say of one SESSION that it was --bad or --good, or give --file")
    labels = _labels(file) if file else [{"session": session, "bad": bad, "flagged": [flagged]}]
    api, done = desk.api(given["url"]), 0
    answered = Answered(DONE)
    for start in range(0, len(labels), LABELS_MAX):
        part = labels[start : start + LABELS_MAX]
        said = {"labels": part, "actor": given["actor"], "source": "command", "offline": file is not None}
        answered = api.post("evaluators", _part(name), "labels", **said)
        if answered.code != DONE:
            break
        done += len(part)
    desk.ended(answered, f"{done} sessions labelled", as_json=given["as_json"])


@evaluator.command()
@desk.shared
def proposals(url: str | None, as_json: bool) -> None:
    """Thresholds with which false positives would not have been found: what to paste, and how to try it.

    0 done, 4 Tocsin could not be reached.

    Example: tocsin evaluator proposals
    """
    answered = desk.api(url).get("proposals")
    rows = (answered.document or {}).get("proposals", ())
    desk.ended(answered, "\n\n".join(_proposed(row) for row in rows) or "None.", as_json=as_json)


def _part(name: str) -> str:
    """Slashes in names are escaped twice: no part of a path has one."""
    return name.replace("%", "%25").replace("/", "%2F")


def _labels(file: BinaryIO) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        if len(found) >= LINES_MAX:
            raise click.UsageError(f"more than {LINES_MAX} lines")
        try:
            one = json.loads(line)
            flagged = one.get("flagged", [False])
            runs = flagged if isinstance(flagged, list) else [flagged]
            found.append({"session": one["session"], "bad": one["bad"], "flagged": runs})
        except (ValueError, LookupError, TypeError, AttributeError):
            raise click.UsageError(f'line {number} is not {{"session": …, "bad": …, "flagged": …}}') from None
    return found


def _line(row: dict[str, Any]) -> str:
    proposed = (row.get("worth") or {}).get("proposed")
    more = f"; proposed: {proposed}" if proposed else ""
    return desk.plain(f"{row['power']:<7} {row['id']}  {row.get('precision', '')}{more}")


def _shown(document: dict[str, Any] | None) -> list[str]:
    found = document or {}
    who, evidence = found.get("evaluator", {}), found.get("evidence", {})
    worth = who.get("worth") or {}
    said = [f"{who.get('id')}: {who.get('power')}, {who.get('precision')}"]
    said += [f"  {line}" for line in worth.get("next", ())]
    for name in ("proposed", "probation_until", "cooling_until", "granted_by"):
        said += [f"  {name.replace('_', ' ')}: {worth[name]}"] if worth.get(name) else []
    said.append(f"  {found.get('recall')}")
    if found.get("corrected"):
        rate = found["corrected"]
        said.append(f"  bad sessions, corrected for its errors: {rate['rate']} ({rate['low']} to {rate['high']})")
    for change in evidence.get("changes", ()):
        said.append(
            f"{change['at']}  {change['before']} -> {change['after']}  {change.get('actor', '')} {change['why']}"
        )
    return said


def _proposed(row: dict[str, Any]) -> str:
    counts = f"{row.get('dropped', 0)} false positives, {row.get('lost', 0)} right, {row.get('undecided', 0)} undecided"
    said = desk.plain(
        f"# {row['incident']}: {row['observed']}; of the last {row.get('seen', 0)} it would drop {counts}"
    )
    stanza = "\n".join(desk.plain(line) for line in str(row["stanza"]).splitlines())
    return f"{said}\n{stanza}\n# {desk.plain(row['command'])}"
