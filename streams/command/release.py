"""`tocsin release`: what a pipeline tells of its releases, and what is known of them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from datetime import UTC, datetime
from typing import Any, NoReturn

import msgspec
import rich_click as click
from aiokafka.errors import KafkaError

from ..announcement import actor, event, run_of
from ..apicall import UNREACHABLE
from ..importing.send import send
from ..records import ReleaseDeployedData, ReleaseRegisteredData, Status
from ..topics import DELIVERY
from . import desk
from .start import settings_or_exit

SEND_S = 30.0
MANY = ("parents", "aliases", "fixes")
RESULTS = tuple(status.value for status in Status if status is not Status.other)


@click.group()
def release() -> None:
    """Releases of agents: which came from which, what they fix, where they run."""


def said(command: Any) -> Any:
    """The options of everything that a pipeline says."""
    dry = "Print the event and send nothing: for pipelines that produce it themselves."
    command = click.option("--dry-run", is_flag=True, help=dry)(command)
    command = click.option("--release", required=True, help="The agent's version, as its events carry it.")(command)
    return click.option("--agent", required=True)(command)


@release.command()
@said
@click.option("--parent", "parents", multiple=True, help="A release it was made from; may be given several times.")
@click.option("--commit", help="The commit it was built of.")
@click.option("--digest", help="The image's digest: a name of it, too.")
@click.option("--alias", "aliases", multiple=True, help="What else it is called: a tag, a pod template's hash.")
@click.option("--prompt-hash", help="As its sessions carry it: another one is held as a release of its own.")
@click.option("--model")
@click.option("--config-hash")
@click.option("--tools-hash")
@click.option("--fixes", multiple=True, help="An incident or a ticket that it fixes; may be given several times.")
@click.option("--author", help="Whose change it is: NAME, or KIND:NAME with human, ci, model, policy.")
@click.option("--order", type=click.IntRange(0), help="A build number: what came before, where no parent is named.")
def register(author: str | None, *, dry_run: bool, **given: Any) -> None:
    """Say that a release exists, before it is deployed. Acknowledged by Kafka (TOCSIN_KAFKA) before this ends.

    0 done, 2 wrong usage or values, 4 Kafka could not be reached: say it again, the same run's event counts once.

    Example: tocsin release register --agent support-bot --release 2026.09.4 --parent 2026.09.3 --fixes AGT-412
    """
    named: dict[str, Any] = {
        name: list(value) if name in MANY else value for name, value in given.items() if value not in (None, ())
    }
    _say(ReleaseRegisteredData(**named, author=actor(author) if author else None), dry_run=dry_run)


@release.command()
@said
@click.option("--environment", default="prod", show_default=True)
@click.option("--op", type=click.Choice(("promote", "rollback", "abort", "result")), required=True)
@click.option("--result", type=click.Choice(RESULTS), default="ok", show_default=True, help="How it ended.")
@click.option("--share", type=click.FloatRange(0, 1), help="Of the sessions, from now on.")
@click.option("--decided-by", help="NAME, or KIND:NAME with human, ci, model, policy.")
@click.option("--decision-id", help="The gate's decision that it rests on.")
@click.option("--url", help="The pipeline's run.")
def deployed(result: str, decided_by: str | None, *, dry_run: bool, **given: Any) -> None:
    """Say how a deployment went. Acknowledged by Kafka (TOCSIN_KAFKA) before this ends.

    0 done, 2 wrong usage or values, 4 Kafka could not be reached: say it again, the same run's event counts once.

    Example: tocsin release deployed --agent support-bot --release 2026.09.4 --op promote --share 0.05
    """
    named: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    by = actor(decided_by) if decided_by else None
    _say(ReleaseDeployedData(**named, result=Status(result), decided_by=by), dry_run=dry_run)


@release.command("list")
@click.option("--agent", help="Only this agent's.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="The newest so many.")
@desk.shared
def list_(agent: str | None, limit: int, url: str | None, as_json: bool) -> None:
    """Releases, the newest first, one a line.

    0 done, 4 Tocsin could not be reached.

    Example: tocsin release list --agent support-bot
    """
    answered = desk.api(url).get("releases", agent=agent, limit=limit)
    rows = (answered.document or {}).get("releases", ())
    desk.ended(answered, "\n".join(_line(row) for row in rows) or "None.", as_json=as_json)


@release.command()
@click.option("--agent", required=True)
@click.option("--release", "name", required=True, help="A release, an alias, an image's digest or a commit.")
@desk.shared
def show(agent: str, name: str, url: str | None, as_json: bool) -> None:
    """One release: what it came from, what it fixes, where it was deployed and how it did.

    0 done, 4 Tocsin could not be reached, 5 nobody knows it, or the name stands for several.

    Example: tocsin release show --agent support-bot --release 2026.09.4
    """
    answered = desk.api(url).get("releases", agent, name)
    desk.ended(answered, "\n".join(_shown(answered.document or {})), as_json=as_json)


def _say(data: ReleaseRegisteredData | ReleaseDeployedData, *, dry_run: bool) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    try:
        value = event(data, run_of(os.environ, now), now)
    except msgspec.ValidationError as error:
        raise click.UsageError(str(error)) from None
    if dry_run:
        click.echo(json.dumps(json.loads(value), indent=2))
        return
    kafka = settings_or_exit().kafka
    if not kafka:
        raise click.UsageError("TOCSIN_KAFKA is not set: the address of Kafka, e.g. TOCSIN_KAFKA=localhost:9092")
    try:
        asyncio.run(_sent(kafka, data.agent, value))
    except (KafkaError, TimeoutError, OSError) as error:
        _unsent(f"Kafka at {kafka} did not take it ({type(error).__name__}). Nothing is lost: say it again.")
    click.echo(json.loads(value)["id"])


async def _sent(kafka: str, agent: str, value: bytes) -> None:
    async with asyncio.timeout(SEND_S):
        await send(kafka, [(agent.encode(), value)], topic=DELIVERY.name)


def _unsent(why: str) -> NoReturn:
    click.echo(why, err=True)
    sys.exit(UNREACHABLE)


def _line(row: dict[str, Any]) -> str:
    state = "registered" if row.get("registered_at") else "implied" if row.get("implied") else "only seen"
    state = "conflicting" if row.get("conflict") else state
    parents = ", ".join(row.get("parents", ()))
    words = (row["agent"], row["release"], state, row.get("registered_at") or row["first_seen"])
    return desk.plain("  ".join((*words, f"from {parents}" if parents else "")).rstrip())


def _shown(document: dict[str, Any]) -> list[str]:
    one = document.get("release", {})
    lines = [f"{name}: {_text(value)}" for name, value in one.items() if value not in (None, "", [])]
    lines += [f"ancestors: {_text(document['ancestors'])}"] if document.get("ancestors") else []
    lines += ["cyclic: its graph turns in a circle"] if document.get("cyclic") else []
    for row in document.get("exposure", ()):
        ended = f"{row['evaluated']} of {row['ended']} judged"
        lines.append(f"in {row['environment']}: {row['sessions']} sessions, {row['bad']} bad, {ended}")
    for row in document.get("deployments", ()):
        share = f" to {row['share']:.0%}" if row.get("share") is not None else ""
        lines.append(f"{row['at']}  {row['op']}{share} in {row['environment']}: {row['result']}")
    lines += [f"fix of {row['incident']}: {row['state']} {row['how']}".rstrip() for row in document.get("fixed", ())]
    return [desk.plain(line) for line in lines]


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
