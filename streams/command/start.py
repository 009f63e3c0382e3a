"""`tocsin up` and `tocsin run ROLE`: the pipeline as processes, on embedded parts unless addresses are given."""

from __future__ import annotations

import asyncio
import secrets
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import rich_click as click
from rich.console import Console

from .. import policy as policies
from .. import pricefile, roles
from .. import settings as environment
from ..pricebook import PriceError
from ..prices import Prices
from ..topics import TopicMismatch, ensure
from .stage import Stage, StageError

console = Console(stderr=True)


def settings_or_exit() -> environment.Settings:
    try:
        return environment.load()
    except environment.SettingsError as error:
        raise click.ClickException(str(error)) from None


def policy_or_exit(settings: environment.Settings) -> policies.Policy:
    try:
        return policies.load(settings.policy)
    except policies.PolicyError as error:
        click.echo(f"The policy has errors, nothing was started.\n{error}", err=True)  # whole lines: file:line: what
        sys.exit(1)


def prices_or_exit(settings: environment.Settings) -> Prices | None:
    try:
        return pricefile.load(settings)
    except PriceError as error:
        click.echo(f"The price book has errors, nothing was started.\n{error}", err=True)  # one line for each
        sys.exit(1)


def token_of(datadir: Path) -> str:
    """The API's token for the embedded parts: made once, readable by its owner alone."""
    path = datadir / "token"
    if not path.exists():
        datadir.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(32), encoding="utf-8")
    return path.read_text(encoding="utf-8").strip()


@click.command()
@click.argument("role", type=click.Choice(roles.ROLES))
@click.option("--parent", type=int, hidden=True, help="End when this process is gone.")
def run(role: str, parent: int | None) -> None:
    """Run one role until SIGTERM.

    Needs TOCSIN_KAFKA and, except for intake and detect, TOCSIN_DATABASE.

    Example: TOCSIN_KAFKA=kafka:9092 tocsin run intake
    """
    if parent:
        roles.end_with(parent)
    settings = settings_or_exit()
    policy = policy_or_exit(settings)
    if not settings.kafka:
        raise click.ClickException("TOCSIN_KAFKA is not set: the address of Kafka, e.g. TOCSIN_KAFKA=localhost:9092")
    if role not in ("intake", "detect") and not settings.database:
        raise click.ClickException(
            "TOCSIN_DATABASE is not set: e.g. TOCSIN_DATABASE=postgresql://tocsin@localhost/tocsin"
        )
    if role == "intake":
        prices_or_exit(settings)
    prepare(settings, role)
    sys.exit(roles.run(role, settings, policy))


def prepare(settings: environment.Settings, role: str = "") -> None:
    """Topics and tables exist and are what this release needs, or one clear sentence."""
    from ..database import migrate  # noqa: PLC0415 - intake and detect run without a database driver loaded

    try:
        asyncio.run(ensure(settings.kafka, settings.generation, settings.replication))
    except TopicMismatch as error:
        raise click.ClickException(str(error)) from None
    except Exception as error:  # a wrong address is a user's mistake, not a stack trace
        raise click.ClickException(f"Cannot reach Kafka at {settings.kafka}: {error}") from None
    try:
        if settings.database and role not in ("intake", "detect"):
            migrate(settings.database)
    except Exception as error:  # as above
        raise click.ClickException(f"Cannot reach PostgreSQL: {error}") from None


@click.command()
@click.option("--sandbox", is_flag=True, help="Start a Jira and a Slack to try things on; see their pages.")
def up(sandbox: bool) -> None:
    """Run every role on this machine, with an embedded Kafka and PostgreSQL unless addresses are given.

    Ends with Ctrl-C; a second start goes on with the same data in .tocsin (TOCSIN_DATADIR).

    Example: tocsin up --sandbox
    """
    settings = settings_or_exit()
    policy_or_exit(settings)
    prices_or_exit(settings)
    token = settings.token.reveal() or token_of(settings.datadir)
    where = "is TOCSIN_TOKEN" if settings.token else f"in {settings.datadir}/token"
    try:
        with Stage(settings, token=token, sandbox=sandbox, say=_say) as stage:
            console.print(f"Kafka [b]{stage.kafka}[/b]   pages [b]{stage.pages}[/b]   token {where}")
            for name, url in stage.sandbox_urls.items():
                console.print(f"Sandbox {name} [b]{url}[/b]")
            console.print("Ctrl-C ends it.")
            stage.watch(until_interrupted())
    except StageError as error:
        raise click.ClickException(str(error)) from None


def _say(what: str) -> None:
    console.print(what)


def until_interrupted() -> Callable[[], bool]:
    """A question that is answered yes once Ctrl-C or SIGTERM has been seen."""
    import signal  # noqa: PLC0415

    seen = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: seen.set())
    return seen.is_set
